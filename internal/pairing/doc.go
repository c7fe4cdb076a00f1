// Package pairing finds the channels in a directory that belong together: X|in
// and X|out are the two directions of a link.
//
// It looks only at names and file modes. It does not open channels or read
// their headers, and does not know interfaces: package params turns pairs into
// those.
//
// # Direction
//
// The suffixes are from the point of view of the peer, a unikernel: we read its
// |out and write its |in. On a muenfs, and wherever else an administrator has
// set them accordingly, the modes say more: memory that the policy grants for
// reading has mode 0400, memory that we may write has 0600. If the modes differ
// they decide, whatever the suffixes: otherwise one side of a link between two
// Linux systems would have the direction wrong.
//
//	X|in   X|out   in      out
//	0600   0600    X|out   X|in    the suffixes
//	0600   0400    X|out   X|in    the modes, which agree
//	0400   0600    X|in    X|out   the modes
//	0400   0400                    skipped: nothing to write
//
// Only the bits of the mode count, not whether the caller could open the file:
// root can open any file.
//
// The functions may be called concurrently. File names are not trusted: names
// that a parameter list cannot contain are skipped, and Skipped.Name may hold
// any bytes.
//
// # Start
//
//	set, err := pairing.Find(region.DefaultDir())
package pairing
