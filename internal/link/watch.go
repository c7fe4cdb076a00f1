package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EventKind is the kind of an Event.
type EventKind uint8

const (
	// Changed: State is what the interface looks like now.
	Changed EventKind = iota
	// Deleted: the interface was removed, or moved to another namespace. Only
	// Index and Name of State are set.
	Deleted
	// Died: the namespace has ended. Its interfaces go with it, without events of
	// their own.
	Died
	// Missed: the kernel's queue overflowed. The receiver must watch every
	// namespace but home again, and read the states that it depends on.
	Missed
)

// Event is a change of an interface or a namespace.
type Event struct {
	Kind  EventKind
	NetNS uint64 // NSID of the namespace; 0 with Missed
	State State
}

// Supersedes reports whether e makes an earlier event redundant.
func (e Event) Supersedes(earlier Event) bool {
	return e.Kind == earlier.Kind && e.NetNS == earlier.NetNS && e.State.Index == earlier.State.Index
}

// Watcher receives the changes of interfaces in several network namespaces. It
// has one socket, in the namespace of the thread that made it, its home, and
// keeps no other namespace alive.
type Watcher struct {
	home   uint64   // NSID
	homeFD int      // of home
	file   *os.File // the subscribed socket
	raw    syscall.RawConn
	port   uint32 // netlink port of the socket
	buf    []byte
	report func(Event)

	mu      sync.Mutex // guards the fields below
	closed  bool
	pending map[uint32]request // by sequence number
	watched map[int32]uint64   // NSID, by the kernel's number in home

	done chan struct{} // closed when run has ended
}

// NewWatcher watches the network namespace of the calling thread and calls f
// for each change, in order. Watch adds other namespaces.
//
// An event of kind Missed reports any loss. Changes that the kernel does not
// announce are not seen: a new alias or queue length of an interface that is
// down.
//
// One goroutine calls f, and further events wait until it returns. f must call
// neither Watch nor Close.
func NewWatcher(f func(Event)) (*Watcher, error) {
	w := &Watcher{
		buf:     make([]byte, receiveBuffer),
		report:  f,
		pending: make(map[uint32]request),
		watched: make(map[int32]uint64),
		done:    make(chan struct{}),
	}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	go w.run()
	return w, nil
}

// receiveBuffer, in bytes, holds any link message: one describes a single
// interface.
const receiveBuffer = 64 << 10

func (w *Watcher) open() (err error) {
	if w.homeFD, err = Current(); err != nil {
		return err
	}
	w.home = NSID(w.homeFD)
	if err := w.subscribe(); err != nil {
		unix.Close(w.homeFD)
		return err
	}
	return nil
}

func (w *Watcher) subscribe() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "netlink")
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.RTNLGRP_NSID)
	}
	if err != nil {
		w.file.Close()
		return fmt.Errorf("subscribe to link events: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err == nil {
		w.port = own.(*unix.SockaddrNetlink).Pid
		w.raw, err = w.file.SyscallConn()
	}
	if err != nil {
		w.file.Close()
	}
	return err
}

// Home returns the NSID of the home namespace.
func (w *Watcher) Home() uint64 { return w.home }

// Close ends the Watcher and waits for f to return. Further calls do nothing.
func (w *Watcher) Close() {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		// An expired deadline ends the current wait and any later one.
		_ = w.file.SetReadDeadline(time.Unix(1, 0))
	}
	<-w.done
}

func (w *Watcher) run() {
	defer close(w.done)
	defer unix.Close(w.homeFD)
	defer w.file.Close()
	defer w.fail(os.ErrClosed)
	for {
		n, origin, err := w.receive()
		switch {
		case err == nil:
			w.parse(w.buf[:n], origin)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			if w.drain() != nil {
				return
			}
			w.missed()
		}
	}
}

// origin is the namespace of a message: home, or the one with this number in
// home.
type origin struct {
	numbered bool
	number   int32
}

// receive waits for a datagram. An error means that messages were lost, or
// Close was called.
func (w *Watcher) receive() (n int, from origin, err error) {
	var recvErr error
	err = w.raw.Read(func(fd uintptr) bool {
		n, from, recvErr = w.receiveNow(int(fd))
		return recvErr != unix.EAGAIN
	})
	if err != nil {
		return 0, from, err
	}
	return n, from, recvErr
}

// receiveNow returns the next datagram of the kernel, or EAGAIN.
func (w *Watcher) receiveNow(fd int) (int, origin, error) {
	var control [64]byte
	for {
		n, controls, flags, peer, err := unix.Recvmsg(fd, w.buf, control[:], 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOMEM:
			return 0, origin{}, unix.ENOBUFS // as good as lost
		case err != nil:
			return 0, origin{}, err
		case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
			return 0, origin{}, unix.ENOBUFS
		}
		if a, ok := peer.(*unix.SockaddrNetlink); ok && a.Pid == 0 {
			return n, originOf(control[:controls]), nil
		}
	}
}

func originOf(control []byte) (o origin) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return o
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			o = origin{numbered: true, number: int32(binary.NativeEndian.Uint32(m.Data))}
		}
	}
	return o
}

// drain discards the queue. After a loss it is older than the states that the
// receiver reads next, and until it is empty the kernel queues nothing new.
func (w *Watcher) drain() error {
	return w.raw.Read(func(fd uintptr) bool {
		for {
			if _, _, err := w.receiveNow(int(fd)); err != nil && err != unix.ENOBUFS {
				return true
			}
		}
	})
}

// missed reports a loss. A lost event may have been the end of a namespace,
// whose number another one may have now, so all numbers are forgotten.
func (w *Watcher) missed() {
	w.mu.Lock()
	clear(w.watched)
	w.mu.Unlock()
	w.fail(unix.ENOBUFS)
	w.findHome()
	w.report(Event{Kind: Missed})
}

func (w *Watcher) parse(datagram []byte, from origin) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return
	}
	netns, known := w.netns(from)
	for _, m := range messages {
		switch m.Header.Type {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if known {
				w.link(netns, m)
			}
		case unix.RTM_NEWNSID, unix.RTM_DELNSID, unix.NLMSG_ERROR:
			if known && netns == w.home {
				w.numbered(m)
			}
		}
	}
}

// netns returns the NSID of a watched namespace.
func (w *Watcher) netns(o origin) (id uint64, known bool) {
	if !o.numbered {
		return w.home, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, known = w.watched[o.number]
	return id, known
}

func (w *Watcher) link(netns uint64, m syscall.NetlinkMessage) {
	// Bridges use the same group, with family AF_BRIDGE. A port that leaves its
	// bridge looks like a deleted interface there.
	if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC {
		return
	}
	l, err := netlink.LinkDeserialize(nil, m.Data)
	if err != nil {
		return
	}
	if m.Header.Type == unix.RTM_DELLINK {
		w.report(Event{Kind: Deleted, NetNS: netns, State: State{Index: l.Attrs().Index, Name: l.Attrs().Name}})
		return
	}
	w.report(Event{Kind: Changed, NetNS: netns, State: stateOf(l)})
}
