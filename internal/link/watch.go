package link

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Event says what an interface looks like now, or that it is gone.
type Event struct {
	State   State // the last known one if Deleted
	Deleted bool  // removed, or moved to another namespace
}

// Watch calls f with the state of each interface of the network namespace
// behind netnsFD (of the calling thread's if negative), first once for every
// interface there is and then for each change, in the order of the changes. It
// does not take netnsFD over.
//
// No change is missed. When more happens than the kernel can queue, the
// interfaces are listed again and f is told the difference: steps in between
// are then left out, never the result. A change that happens while the
// interfaces are being listed may be reported after a state that is newer; the
// newest follows. Only what the kernel does not announce is not seen at once:
// a new alias or queue length of an interface that is down.
//
// f runs on a goroutine of the watcher and may take its time. stop ends the
// watcher and waits for f to return; it must not be called by f. Calling it
// again does nothing.
func Watch(netnsFD int, f func(Event)) (stop func(), err error) {
	w, err := newWatcher(netnsFD, f)
	if err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	// The subscription is older than this list, so whatever the list does not
	// show yet waits in the socket.
	states, err := w.handle.List()
	if err != nil {
		w.close()
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	go w.run(states)
	return w.stop, nil
}

// receiveBuffer is larger than any link message of the kernel, whose multicast
// messages are bounded by the attributes of one interface.
const receiveBuffer = 64 << 10

type watcher struct {
	handle  *Handle
	file    *os.File // the subscribed socket
	raw     syscall.RawConn
	buf     []byte
	known   map[int]State // by index, as last reported
	report  func(Event)
	relists int // how often events were lost

	stopOnce sync.Once
	stopping chan struct{} // closed by stop
	done     chan struct{} // closed when run has ended
}

func newWatcher(netnsFD int, f func(Event)) (*watcher, error) {
	handle, err := Open(netnsFD)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		handle:   handle,
		buf:      make([]byte, receiveBuffer),
		known:    make(map[int]State),
		report:   f,
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
	}
	if err := InNetNS(netnsFD, w.subscribe); err != nil {
		handle.Close()
		return nil, err
	}
	return w, nil
}

func (w *watcher) subscribe() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("subscribe to link events: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "netlink")
	w.raw, err = w.file.SyscallConn()
	return err
}

func (w *watcher) stop() {
	w.stopOnce.Do(func() {
		close(w.stopping)
		// An expired deadline ends a wait that is going on and any later one.
		_ = w.file.SetReadDeadline(time.Unix(1, 0))
	})
	<-w.done
}

func (w *watcher) close() {
	w.file.Close()
	w.handle.Close()
}

func (w *watcher) run(states []State) {
	defer close(w.done)
	defer w.close()
	w.update(states)
	for {
		n, err := w.receive()
		for err != nil {
			// Messages were lost, or it is the end. If the list cannot be had
			// either (no memory), it is worth another try a little later.
			if err = w.relist(); err != nil && !w.pause() {
				return
			}
			n = 0
		}
		w.parse(w.buf[:n])
	}
}

// pause waits before another try, and reports false when stop was called.
func (w *watcher) pause() bool {
	select {
	case <-w.stopping:
		return false
	case <-time.After(time.Second):
		return true
	}
}

// receive waits for one datagram. An error means that messages were lost, or
// that stop was called.
func (w *watcher) receive() (n int, err error) {
	var recvErr error
	err = w.raw.Read(func(fd uintptr) bool {
		n, recvErr = w.receiveNow(int(fd))
		return recvErr != unix.EAGAIN
	})
	if err != nil {
		return 0, err
	}
	return n, recvErr
}

// receiveNow returns the next datagram of the kernel, or EAGAIN.
func (w *watcher) receiveNow(fd int) (int, error) {
	for {
		// With MSG_TRUNC the length is that of the message, not of the copy.
		n, from, err := unix.Recvfrom(fd, w.buf, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOMEM:
			return 0, unix.ENOBUFS // as good as lost
		case err != nil:
			return 0, err
		case n > len(w.buf):
			return 0, unix.ENOBUFS
		}
		if a, ok := from.(*unix.SockaddrNetlink); ok && a.Pid == 0 {
			return n, nil
		}
	}
}

// relist reports what has changed without an event. Events still queued are
// older than the list that follows, so they are thrown away first.
func (w *watcher) relist() error {
	w.relists++
	err := w.raw.Read(func(fd uintptr) bool {
		for {
			if _, err := w.receiveNow(int(fd)); err != nil && err != unix.ENOBUFS {
				return true
			}
		}
	})
	if err != nil {
		return err
	}
	states, err := w.handle.List()
	if err != nil {
		return err
	}
	w.update(states)
	return nil
}

// update reports the difference between what was known and a complete list.
func (w *watcher) update(states []State) {
	listed := make(map[int]bool, len(states))
	for _, s := range states {
		listed[s.Index] = true
	}
	for index := range w.known {
		if !listed[index] {
			w.deleted(index)
		}
	}
	for _, s := range states {
		w.changed(s)
	}
}

func (w *watcher) changed(s State) {
	// The kernel repeats itself, and sends events for what State leaves out.
	if old, ok := w.known[s.Index]; ok && old.Equal(s) {
		return
	}
	w.known[s.Index] = s
	w.report(Event{State: s})
}

func (w *watcher) deleted(index int) {
	if s, ok := w.known[index]; ok {
		delete(w.known, index)
		w.report(Event{State: s, Deleted: true})
	}
}

func (w *watcher) parse(datagram []byte) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return
	}
	for _, m := range messages {
		// The same group carries messages of bridges about their ports, of
		// family AF_BRIDGE: a port that leaves its bridge looks like a deleted
		// interface there.
		if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC {
			continue
		}
		l, err := netlink.LinkDeserialize(nil, m.Data)
		if err != nil {
			continue
		}
		switch m.Header.Type {
		case unix.RTM_NEWLINK:
			w.changed(stateOf(l))
		case unix.RTM_DELLINK:
			w.deleted(l.Attrs().Index)
		}
	}
}
