package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel labels a message from another namespace with the number of that
// namespace in the namespace of the socket. Requests for numbers go through the
// subscribed socket. So their answers are in order with the announcements of
// new and freed numbers, and an answer never applies to an earlier or later
// holder of the number.

// notNumbered is NETNSA_NSID_NOT_ASSIGNED of
// include/uapi/linux/net_namespace.h.
const notNumbered int32 = -1

// request is a request without an answer yet.
type request struct {
	netns  uint64     // NSID of its namespace
	answer chan error // nil: no caller waits
}

// Watch adds the network namespace behind netnsFD, which the caller keeps, and
// returns its NSID. Changes are reported from then until the namespace dies.
// Watching a namespace again does nothing.
//
// A namespace other than home needs CAP_NET_ADMIN, CAP_NET_BROADCAST and
// CAP_SYS_ADMIN in the user namespaces of both. Without them the error wraps
// unix.EPERM and names the missing ones. After Close it wraps os.ErrClosed.
func (w *Watcher) Watch(netnsFD int) (id uint64, err error) {
	id = NSID(netnsFD)
	if id == w.home {
		return id, nil
	}
	if err = mayWatch(); err == nil {
		err = w.number(netnsFD, id)
	}
	if err != nil {
		return 0, fmt.Errorf("watch interfaces of another network namespace: %w", err)
	}
	return id, nil
}

// number gives the namespace a number in home, unless it has one, and records
// it.
func (w *Watcher) number(netnsFD int, id uint64) error {
	if err := w.listen(); err != nil {
		return err
	}
	for {
		err := w.ask(unix.RTM_NEWNSID, netnsFD, id)
		if err == nil || errors.Is(err, unix.EEXIST) {
			w.findHome()
			err = w.ask(unix.RTM_GETNSID, netnsFD, id)
		}
		if !errors.Is(err, unix.ENOBUFS) { // else the answer was lost
			return err
		}
	}
}

// listen subscribes to the events of all numbered namespaces.
func (w *Watcher) listen() error {
	return w.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	})
}

// control calls f with the subscribed socket.
func (w *Watcher) control(f func(fd int) error) (err error) {
	if w.raw.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed
	}
	return err
}

// findHome requests the number of home in itself. Usually it has none. If it
// has one, its own events are labelled with it.
func (w *Watcher) findHome() {
	if w.home == Sole { // a kernel without namespaces numbers none
		return
	}
	_ = w.send(unix.RTM_GETNSID, w.homeFD, request{netns: w.home})
}

// ask makes a request and waits for the answer.
func (w *Watcher) ask(kind int, netnsFD int, id uint64) error {
	r := request{netns: id, answer: make(chan error, 1)}
	if err := w.send(kind, netnsFD, r); err != nil {
		return err
	}
	return <-r.answer
}

// send makes a request.
func (w *Watcher) send(kind int, netnsFD int, r request) error {
	flags := 0
	if kind == unix.RTM_NEWNSID {
		flags = unix.NLM_F_ACK
	}
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(nl.NewRtGenMsg())
	req.AddData(nl.NewRtAttr(netlink.NETNSA_FD, nl.Uint32Attr(uint32(netnsFD))))
	if kind == unix.RTM_NEWNSID {
		anyNumber := notNumbered
		req.AddData(nl.NewRtAttr(netlink.NETNSA_NSID, nl.Uint32Attr(uint32(anyNumber))))
	}
	message := req.Serialize()

	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return os.ErrClosed
	}
	w.pending[req.Seq] = r
	w.mu.Unlock()
	err := w.control(func(fd int) error {
		return unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	if err != nil {
		w.mu.Lock()
		delete(w.pending, req.Seq)
		w.mu.Unlock()
	}
	return err
}

// fail ends all requests with an error.
func (w *Watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seq, r := range w.pending {
		delete(w.pending, seq)
		r.finish(err)
	}
}

func (r request) finish(err error) {
	if r.answer != nil {
		r.answer <- err
	}
}

// numbered handles a message of home about namespace numbers.
func (w *Watcher) numbered(m syscall.NetlinkMessage) {
	if m.Header.Type == unix.NLMSG_ERROR {
		if r, mine := w.take(m); mine && len(m.Data) >= 4 {
			r.finish(errnoOf(m.Data))
		}
		return
	}
	number, ok := nsidOf(m.Data)
	if !ok {
		return
	}
	if m.Header.Type == unix.RTM_DELNSID {
		w.died(number)
		return
	}
	r, mine := w.take(m)
	switch {
	case !mine: // a number was assigned, maybe to home
		w.findHome()
	case number != notNumbered:
		w.learn(number, r)
	case r.answer != nil: // its number was freed again
		r.finish(unix.ENOBUFS)
	}
}

// take returns the request that m answers.
func (w *Watcher) take(m syscall.NetlinkMessage) (r request, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Header.Pid == w.port {
		r, mine = w.pending[m.Header.Seq]
		delete(w.pending, m.Header.Seq)
	}
	return r, mine
}

func (w *Watcher) learn(number int32, r request) {
	w.mu.Lock()
	_, known := w.watched[number]
	w.watched[number] = r.netns
	w.mu.Unlock()
	r.finish(nil)
	if r.netns == w.home && !known {
		// Its events had an unknown number until now.
		w.report(Event{Kind: Missed})
	}
}

func (w *Watcher) died(number int32) {
	w.mu.Lock()
	netns, known := w.watched[number]
	delete(w.watched, number)
	w.mu.Unlock()
	if known {
		w.report(Event{Kind: Died, NetNS: netns})
	}
}

// errnoOf returns the error in a struct nlmsgerr, nil for an acknowledgement.
func errnoOf(data []byte) error {
	if n := int32(binary.NativeEndian.Uint32(data)); n != 0 {
		return unix.Errno(-n)
	}
	return nil
}

// nsidOf reads the number of a struct rtgenmsg.
func nsidOf(data []byte) (number int32, ok bool) {
	header := new(nl.RtGenMsg).Len()
	if len(data) < header {
		return 0, false
	}
	attrs, err := nl.ParseRouteAttr(data[header:])
	if err != nil {
		return 0, false
	}
	for _, a := range attrs {
		if a.Attr.Type == netlink.NETNSA_NSID && len(a.Value) >= 4 {
			return int32(binary.NativeEndian.Uint32(a.Value)), true
		}
	}
	return 0, false
}

// mayWatch returns EPERM unless this thread has the capabilities to watch
// another namespace. Without CAP_NET_BROADCAST the kernel silently omits the
// events. CAP_SYS_ADMIN is for InNetNS, which callers use on what they watch:
// one error names both.
func mayWatch() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	var missing []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_BROADCAST, "CAP_NET_BROADCAST"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
		if sets[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it takes %s", unix.EPERM, strings.Join(missing, " and "))
	}
	return nil
}
