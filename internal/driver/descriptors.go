package driver

import (
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/shortage"
)

// How many descriptors things take, at least where eBPF is to be had. A load or
// a child that cannot have them is refused before anything is tried: half of them
// would make an interface that looks alive.
const (
	perDevice  = 3  // a queue, an epoll instance and an eventfd
	perMarks   = 22 // 15 more queues; three programs and their BTF; what attaches one of them
	perChild   = perDevice + perMarks
	perChannel = 2 // its file; on a muenfs the file that raises events, or an eventfd
	perDriver  = 4 // for all interfaces: netlink sockets, the namespace, inotify

	// spare stay free: for control connections, the state file, requests to the
	// kernel, and to look for interfaces that move.
	spare = 16
)

// descriptors returns how many the interface takes, up to one or two too many.
// The queues of a net_hdr interface and of each child may grow by 240 more.
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

// room is an error if there are too few descriptors for a load.
func (d *Driver) room(cfg Config) error {
	n := perDriver + spare
	for _, i := range cfg.Interfaces {
		n += d.descriptors(i)
	}
	return enough(n)
}

// enough is shortage.Descriptors, but for a test of what it prevents.
var enough = shortage.Descriptors
