package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A network namespace is passed as a file descriptor and compared by its NSID.
// A kernel without CONFIG_NET_NS has a single namespace, which cannot be
// opened: its descriptor is -1 and its NSID is Sole. Neither needs special
// treatment. A negative descriptor stands for the namespace of the calling
// thread throughout this package, and closing it does no harm.

// Sole is the NSID of the only network namespace of a kernel without
// CONFIG_NET_NS. No other namespace has it.
const Sole uint64 = 0

// currentPath shows the network namespace of the thread that opens it.
const currentPath = "/proc/thread-self/ns/net"

// Current opens the network namespace of the calling thread. The caller closes
// the descriptor. It is -1 on a kernel without CONFIG_NET_NS. A goroutine that
// is not locked to its thread gets the namespace of the process.
//
// Current needs no privilege if /proc is mounted, otherwise CAP_NET_ADMIN.
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

// currentOfSocket is Current without /proc/thread-self/ns/net. A new socket is
// in the namespace of the thread, and SIOCGSKNS opens it. EINVAL tells a kernel
// without CONFIG_NET_NS from a /proc that is not mounted.
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

// HasNetNS reports whether the kernel has network namespaces, and true if the
// test itself fails.
func HasNetNS() bool {
	fd, err := Current()
	if err != nil {
		return true
	}
	unix.Close(fd)
	return fd >= 0
}

// NSID returns the inode number of the network namespace behind fd. It is
// unique among existing namespaces; the kernel may reuse it later. It is Sole
// if fd is negative or not open.
func NSID(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return Sole
	}
	return st.Ino
}

// NewNetNS makes a network namespace that holds only a loopback interface,
// which is down. The caller closes the descriptor. The namespace ends with its
// last descriptor, process and socket.
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

// InNetNS runs f in the network namespace behind fd and returns f's error. If
// that is the namespace of the calling thread, or fd is negative, it calls f
// directly, which needs no privilege. Entering another namespace needs
// CAP_SYS_ADMIN.
//
// In another namespace f runs on a goroutine and a thread of its own while the
// caller waits. A panic or runtime.Goexit in f, such as that of testing's
// FailNow, continues in the caller. Sockets that f opens stay in the namespace.
// Goroutines that f starts run on other threads, and so outside it.
//
// Afterwards the thread returns to its namespace. If that fails it ends, so
// that no goroutine ever runs in the wrong namespace.
func InNetNS(fd int, f func() error) error {
	if IsCurrent(fd) {
		return f()
	}
	return onThread(fd, f)
}

// IsCurrent reports whether the calling thread is in the network namespace
// behind fd, which is always so for a negative fd. A goroutine that is not
// locked to its thread is in the namespace of the process.
func IsCurrent(fd int) bool {
	if fd < 0 {
		return true
	}
	var here, there unix.Stat_t
	return statCurrent(&here) == nil && unix.Fstat(fd, &there) == nil && here.Dev == there.Dev && here.Ino == there.Ino
}

// statCurrent is stat(2) of the calling thread's namespace. With /proc it needs
// no descriptor.
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

// onThread runs f in the namespace behind fd, on a thread of its own, which
// returns afterwards.
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

// enter locks the goroutine to its thread and moves the thread to the namespace
// behind fd. It returns the previous namespace, for leave. On an error nothing
// changes.
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

// leave undoes enter. If that fails the goroutine stays locked, and the runtime
// ends the thread with it.
func leave(home int) {
	if unix.Setns(home, unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	unix.Close(home)
}
