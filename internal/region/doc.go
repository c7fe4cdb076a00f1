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
// /absolute/path, or pci:BUS:DEV.FN, each with @OFFSET+LENGTH for a window.
// [DefaultDir] is the channel directory where none is configured. Three kinds of
// memory are behind these names, and [Open] tells them apart by asking the
// kernel about the open file, not by its name:
//
//	Plain   a regular file, by preference on a tmpfs. Create and List serve
//	        directories of them.
//	Muenfs  a channel of a subject of the Muen separation kernel, by the type of
//	        its file system. It has one direction, which the mode of the file
//	        tells: 0600 is written here, 0400 is read. A channel that is opened
//	        against its direction is refused.
//	PCI     BAR 2 of an ivshmem device of a virtual machine, by way of sysfs:
//	        memory that other virtual machines and the host map as well. The
//	        device is enabled first, and stays so. How the memory is mapped is
//	        measured; see mapping.go for why, and Mapping for what came out.
//	        Prepare makes it a channel, Devices lists what there is.
//
// # Whose files
//
// A name leads to a file of the channel directory and to nothing else: symbolic
// links are not followed. /dev/shm/muennet, which any user can make, must belong to
// root or to the user of this process and be writable for no others (unless it is
// sticky), and so must each channel in it. A directory or a path that was
// named is up to the administrator who named it; [Region.Foreign] tells about
// other owners there. A file is opened for writing only if it holds a channel or
// zeros.
//
// The descriptor of a region is never given to Go's poller, which [os.OpenFile]
// would do: polling a muenfs file takes hold of its channel's interrupt, and that
// is for package doorbell to decide.
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
// They do not leave the system they are taken on. Of a PCI device they are those
// of its file resource2, known to the processes that share a mount of sysfs
// (whoever mounts one in another network namespace has other files), and not to
// other virtual machines: there it is the administrator who gives each channel
// one writer.
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
// The peer may change any byte at any moment. It may also shrink the file, or take
// its memory away in a file system that is full; then an access raises SIGBUS.
// Code that touches the bytes runs under [Guard], which turns the fault into an
// [ErrFault] that says why. The file may also be removed, or another one put in
// its place, without any fault: [Region.Look] tells, and [Watch] says when to
// look. A peer
// that can open the file, if only for reading, can also hold a lock on it and
// keep a new writer out; one that can write it can do so by a header that is no
// channel's. The mode of the file is the remedy. No error tells what a file that
// is no channel holds.
// Memory of a device that is removed may fault as well, or read as bytes of all
// ones, which no reader of a channel takes for a header.
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
