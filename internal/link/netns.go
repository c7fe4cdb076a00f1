package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A network namespace is passed around as a descriptor and compared by its
// NSID. A kernel built without CONFIG_NET_NS has a single namespace, which
// cannot be opened: there the descriptor is -1 and the NSID is Sole. Both need
// no special treatment: a negative descriptor means the namespace of the
// calling thread everywhere in this package, and to close it does no harm.

// Sole is the NSID of the only network namespace of a kernel without
// CONFIG_NET_NS. No other namespace has it.
const Sole uint64 = 0

// currentPath shows the network namespace of the thread that opens it.
const currentPath = "/proc/thread-self/ns/net"

// Current opens the network namespace of the calling thread. The caller closes
// the descriptor, which is -1 on a kernel without CONFIG_NET_NS. A goroutine
// that is not locked to its thread sees the namespace of the process.
//
// It takes no privilege where /proc is mounted, and CAP_NET_ADMIN elsewhere.
func Current() (fd int, err error) {
	fd, err = unix.Open(currentPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return currentOfSocket()
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: currentPath, Err: err}
	}
	return fd, nil
}

// currentOfSocket is Current without the file: because /proc is not mounted, or
// because the kernel has no CONFIG_NET_NS. A new socket is in the namespace of
// the thread, and the kernel tells the two cases apart when it is asked which
// one that is.
func currentOfSocket() (fd int, err error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("open network namespace: open netlink socket: %w", err)
	}
	defer unix.Close(s)
	fd, err = unix.IoctlRetInt(s, unix.SIOCGSKNS)
	switch err {
	case nil:
		return fd, nil
	case unix.EINVAL: // get_net_ns of include/net/net_namespace.h
		return -1, nil
	}
	return -1, fmt.Errorf("open network namespace of socket: %w", err)
}

// HasNetNS reports whether the kernel has network namespaces. If that cannot be
// found out it reports true.
func HasNetNS() bool {
	fd, err := Current()
	if err != nil {
		return true
	}
	unix.Close(fd)
	return fd >= 0
}

// NSID returns the identity of the network namespace behind fd, its inode
// number: two descriptors show the same namespace if their numbers are equal.
// It is unique among the namespaces that exist now; the kernel may give it
// again after the namespace is gone. It is Sole if fd is negative or not open.
func NSID(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return Sole
	}
	return st.Ino
}

// NewNetNS makes a network namespace, with nothing in it but a loopback that is
// down, and returns a descriptor of it. The caller closes it; the namespace
// ends with its last descriptor, process and socket.
func NewNetNS() (fd int, err error) {
	home, err := Current()
	if err != nil {
		return -1, err
	}
	if home < 0 {
		return -1, fmt.Errorf("make network namespace: %w: kernel without CONFIG_NET_NS", errors.ErrUnsupported)
	}
	defer unix.Close(home)
	err = onThread(home, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		fd, err = Current()
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// InNetNS runs f in the network namespace behind fd and returns f's error. A
// negative fd is the calling thread's namespace: f is then called directly, and
// so it is if fd shows that namespace. That takes no privilege; to enter
// another one takes CAP_SYS_ADMIN.
//
// Elsewhere f runs on a goroutine and a thread of its own, while the caller
// waits; a panic and a runtime.Goexit in f (such as that of testing's FailNow)
// go on in the caller. Sockets and descriptors that f opens stay in the
// namespace, goroutines that f starts do not: they run on other threads.
//
// Afterwards the thread goes back to the namespace it came from, or ends if
// that is refused, so no goroutine ever meets a thread in a wrong namespace.
func InNetNS(fd int, f func() error) error {
	if IsCurrent(fd) {
		return f()
	}
	return onThread(fd, f)
}

// IsCurrent tells whether the calling thread is in the network namespace behind
// fd, as it always is if fd is negative. A goroutine that is not locked to its
// thread is in that of the process.
func IsCurrent(fd int) bool {
	if fd < 0 {
		return true
	}
	var here, there unix.Stat_t
	return statCurrent(&here) == nil && unix.Fstat(fd, &there) == nil && here.Dev == there.Dev && here.Ino == there.Ino
}

// statCurrent describes the file that the calling thread's namespace is. Where
// there is a path to it, that takes no descriptor.
func statCurrent(st *unix.Stat_t) error {
	err := unix.Stat(currentPath, st)
	if err != unix.ENOENT {
		return err
	}
	fd, err := Current()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fstat(fd, st)
}

// onThread runs f in the namespace behind fd, on a thread of its own that is
// put back afterwards.
func onThread(fd int, f func() error) error {
	var (
		err      error
		returned bool
		panicked any
	)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var home int
		home, err = enter(fd)
		if err != nil {
			returned = true
			return
		}
		defer func() {
			if !returned {
				panicked = recover()
			}
			leave(home)
		}()
		err = f()
		returned = true
	}()
	<-done
	switch {
	case panicked != nil:
		panic(panicked)
	case !returned:
		runtime.Goexit()
	}
	return err
}

// enter locks the goroutine to its thread and moves that to the namespace
// behind fd. It returns the namespace to leave to. On an error nothing has
// changed.
func enter(fd int) (home int, err error) {
	runtime.LockOSThread()
	home, err = Current()
	if err != nil {
		runtime.UnlockOSThread()
		return -1, err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		unix.Close(home)
		runtime.UnlockOSThread()
		if err == unix.EPERM {
			return -1, fmt.Errorf("enter network namespace: %w: it takes CAP_SYS_ADMIN here and in the user namespace that owns it", err)
		}
		return -1, fmt.Errorf("enter network namespace: %w", err)
	}
	return home, nil
}

// leave undoes enter. If the way back is refused the goroutine stays locked,
// and the runtime ends the thread with it instead of using it again.
func leave(home int) {
	if unix.Setns(home, unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	unix.Close(home)
}
