// Package pairing finds the channels in a directory that belong together: an
// X|in and an X|out are the two ways of one link.
//
// It looks at names and file modes only. It opens no channel, reads no header
// and knows nothing of interfaces: what becomes of a pair is the business of
// package params.
//
// # Which of the two is read
//
// The suffixes are those of the peer, a unikernel: what is its |out is ours to
// read, and its |in ours to write. On a muenfs, and wherever else an
// administrator has set them like that, the modes say more: memory that a
// policy gives us for reading is mode 0400, memory that we may write 0600. Where
// they differ they decide, whatever the suffixes: between two Linuxes, one of
// them would have it the wrong way round otherwise.
//
//	X|in   X|out   in      out
//	0600   0600    X|out   X|in    the suffixes
//	0600   0400    X|out   X|in    the modes, which agree
//	0400   0600    X|in    X|out   the modes
//	0400   0400                    skipped: nothing to write
//
// It is the bits of the mode that count, not whether the caller could open the
// file: root can open any.
//
// The functions may be called concurrently. File names are not trusted: what a
// parameter list cannot name is skipped, and Skipped.Name may hold any bytes.
//
// # Start
//
//	set, err := pairing.Find(region.DefaultDir())
package pairing
