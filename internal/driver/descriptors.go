package driver

import (
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/shortage"
)

// How many descriptors things need, at least where the kernel has eBPF. A load
// or a child that cannot have them all is refused at once: with some of them an
// interface would look alive and not work.
const (
	perDevice  = 3  // a queue, an epoll instance and an eventfd
	perMarks   = 22 // 15 more queues; three programs and their BTF; what attaches one of them
	perChild   = perDevice + perMarks
	perChannel = 2 // its file; on a muenfs the file that raises events, or an eventfd
	perDriver  = 4 // for all interfaces: netlink sockets, the namespace, inotify

	// spare stay free for control connections, the state file, requests to the
	// kernel, and to track interfaces that move.
	spare = 16
)

// descriptors returns how many the interface needs, or one or two more. The
// queues of a net_hdr interface and of each child may later take 240 more each.
func (d *Driver) descriptors(i Interface) (n int) {
	n = perDevice + 3*perChannel
	if i.Format != element.NetHdr {
		return n
	}
	if !d.opt.NoBPF {
		n += perMarks
	}
	for _, r := range d.left {
		if r.Alias == aliasOf(i) {
			n += len(r.Children) * perChild
		}
	}
	return n
}

// room returns an error if a load needs more descriptors than there are.
func (d *Driver) room(cfg Config) error {
	n := perDriver + spare
	for _, i := range cfg.Interfaces {
		n += d.descriptors(i)
	}
	return enough(n)
}

// enough is shortage.Descriptors, which a test replaces.
var enough = shortage.Descriptors
