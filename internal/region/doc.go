// Package region opens named shared memory: the file of a channel, or a window
// of such a file, as bytes mapped into this process.
//
// It is not the channel. What the bytes mean is the business of package
// shmstream; this package knows where they live, who may write them, and what
// happens when the file under them goes away. It sends and receives no wake-ups
// either: that is package doorbell.
//
// # Where channels live
//
// A region is named by a spec, see [ParseSpec]: NAME in the channel directory,
// or /absolute/path, either with @OFFSET+LENGTH for a window. [DefaultDir] is
// the channel directory where none is configured. [Create] and [List] serve
// plain directories, by preference on a tmpfs.
//
// Open handles one kind of memory so far, the regular file. A further kind has
// one place: [Open] looks at the open file descriptor in mapFile, and a kind
// with its own rules (a muenfs, where the mode of the file tells its direction;
// a PCI device, whose memory is a resource file) is told apart there, before
// anything is mapped. Names that begin with "pci:" are reserved for it.
//
// # One writer
//
// A channel has one writer. Writers hold a lock while they live, [Region.Lock]:
// on a whole file an exclusive flock, on a window a shared flock plus an open
// file description lock on its range. Windows of one file thus exclude each
// other only where they overlap, and a writer of the whole file excludes all.
// The kernel releases these locks when the process dies. Readers ask with
// [Region.WriterLocked]. The locks are advisory: they keep friends from harming
// each other, not a hostile peer.
//
// # Concurrency
//
// The functions may be called from any goroutine. The methods of a Region may be
// called concurrently with each other, but the slice of [Region.Bytes] is memory
// of the mapping: whoever closes a region must know that nobody touches its
// bytes any more.
//
// # Trust
//
// The peer may change any byte at any moment. It may also shrink the file;
// then the pages are gone and an access to them raises SIGBUS. Code that touches
// the bytes runs under [Guard], which turns the fault into [ErrFault]. A peer
// that can open the file can also hold the writer's lock and keep a writer out.
//
// # Start
//
//	r, err := region.Open(region.DefaultDir(), "net0|out", region.ReadWrite)
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	if err := r.Lock(); err != nil {
//		return err
//	}
//	err = region.Guard(func() { serve(r.Bytes()) })
package region
