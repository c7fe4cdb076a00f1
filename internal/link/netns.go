package link

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// currentPath shows the network namespace of the thread that opens it.
const currentPath = "/proc/thread-self/ns/net"

// Current opens the network namespace of the calling thread. The caller closes
// the descriptor. A goroutine that is not locked to its thread sees the
// namespace of the process.
func Current() (fd int, err error) {
	fd, err = unix.Open(currentPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: currentPath, Err: err}
	}
	return fd, nil
}

// NSID returns the identity of the network namespace behind fd, its inode
// number: two descriptors show the same namespace if their numbers are equal.
// It is unique among the namespaces that exist now; the kernel may give it
// again after the namespace is gone. It is 0, which no namespace has, if fd is
// not open.
func NSID(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
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
// so it is if fd shows that namespace. That takes no privilege; to enter another
// one takes CAP_SYS_ADMIN.
//
// Elsewhere f runs on a goroutine and a thread of its own, while the caller
// waits; a panic and a runtime.Goexit in f (such as that of testing's FailNow)
// go on in the caller. Sockets and descriptors that f opens stay in the namespace,
// goroutines that f starts do not: they run on other threads.
//
// Afterwards the thread goes back to the namespace it came from, or ends if
// that is refused, so no goroutine ever meets a thread in a wrong namespace.
func InNetNS(fd int, f func() error) error {
	if fd < 0 || IsCurrent(fd) {
		return f()
	}
	return onThread(fd, f)
}

// IsCurrent tells whether the calling thread is in the network namespace behind
// fd. A goroutine that is not locked to its thread is in that of the process.
func IsCurrent(fd int) bool {
	var here, there unix.Stat_t
	return unix.Stat(currentPath, &here) == nil && unix.Fstat(fd, &there) == nil && here.Dev == there.Dev && here.Ino == there.Ino
}

// onThread runs f in the namespace behind fd, on a thread of its own that is put
// back afterwards.
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

// Move moves an interface of the calling thread's network namespace to the one
// behind fd and gives it a name there, in one request. If the name is taken there,
// the error wraps unix.EEXIST, and the interface has been moved all the same,
// with its old name.
func Move(index, fd int, name string) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(fd))))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("move interface %d to another network namespace as %q: %w", index, name, err)
	}
	return nil
}
