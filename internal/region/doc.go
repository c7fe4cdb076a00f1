// Package region opens named shared memory: it maps the file of a channel, or a
// window of such a file, into this process.
//
// It is not the channel. Package shmstream interprets the bytes; this package
// knows where they are, who may write them, and what happens if the file goes
// away. It does not send or receive wake-ups either: package doorbell does.
//
// # Where channels live
//
// A region is named by a spec (see [ParseSpec]): NAME in the channel directory,
// /absolute/path, or pci:BUS:DEV.FN, each with @OFFSET+LENGTH for a window.
// [DefaultDir] is the channel directory if none is configured. There are three
// kinds of memory, which [Open] tells apart by asking the kernel about the open
// file, not by its name:
//
//	Plain   A regular file, preferably on a tmpfs. Create and List manage
//	        directories of them.
//	Muenfs  A channel of a subject of the Muen separation kernel, recognised by
//	        the type of its file system. It has one direction, which the mode of
//	        the file tells: 0600 is written here, 0400 is read. Open refuses to
//	        use a channel against its direction.
//	PCI     BAR 2 of an ivshmem device of a virtual machine, through sysfs:
//	        memory that other virtual machines and the host map as well. Open
//	        enables the device, which stays enabled. How the memory is mapped
//	        depends on a measurement; mapping.go explains why, and Mapping
//	        returns the result. Prepare turns it into a channel, Devices lists
//	        the devices.
//
// # Whose files
//
// A name leads to a file in the channel directory and nowhere else: symbolic
// links are not followed. Any user can create /dev/shm/muennet. So it must
// belong to root or to the user of this process, and must not be writable for
// others unless it is sticky. The same goes for each channel in it. For other
// directories and paths the administrator who named them is responsible;
// [Region.Foreign] reports other owners there. A file is opened for writing
// only if it holds a channel or zeros.
//
// The descriptor of a region is kept out of Go's poller, which [os.OpenFile]
// would use: polling a muenfs file requests the interrupt of its channel, and
// package doorbell decides about that.
//
// # One writer
//
// A channel has one writer. Writers hold a lock while they live, see
// [Region.Lock]: on a whole file an exclusive flock, on a window a shared flock
// and an open file description lock on its range. So windows of one file
// exclude each other only where they overlap, and a writer of the whole file
// excludes all others. The kernel releases the locks when the process dies.
// Readers query them with [Region.WriterLocked]. The locks are advisory: they
// protect against mistakes, not against a hostile peer.
//
// The locks are local to a system. Those of a PCI device are on its file
// resource2, and visible to processes that share a mount of sysfs; a mount from
// another network namespace has different files. Other virtual machines do not
// see them: there the administrator must make sure that each channel has one
// writer.
//
// # Concurrency
//
// The functions may be called from any goroutine. The methods of a Region may
// be called concurrently. But the slice of [Region.Bytes] is the mapping
// itself: make sure that nothing accesses it any more before you close the
// region.
//
// # Trust
//
// The peer may change any byte at any moment. It may also shrink the file, or
// punch holes that a full file system cannot fill; an access then raises
// SIGBUS. Code that accesses the bytes runs under [Guard], which turns the
// fault into an [ErrFault] with the reason. The file may also be removed or
// replaced without a fault: [Region.Look] detects that, and [Watch] says when
// to look.
//
// A peer that can open the file, if only for reading, can also hold a lock on
// it and keep a new writer out. One that can write to it can achieve the same
// with an invalid header. The mode of the file prevents that. No error reveals
// the content of a file that is not a channel.
//
// Memory of a removed device may fault as well, or read as all ones, which no
// reader accepts as a header.
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
