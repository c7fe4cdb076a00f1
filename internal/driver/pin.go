package driver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// A descriptor of a TUN/TAP device pins the network namespace in which it was
// opened: it keeps it alive. It can only be attached to an existing device in
// the device's namespace. So a device that is adopted in another namespace, or
// gets more queues there, pins that namespace after everything else in it has
// ended. The only remedy is to check whether that is so.

// pin records that a descriptor of the device was opened in a namespace. If no
// users can be seen even now, the namespace never counts as dead.
func (n *netdev) pin(netns uint64) {
	d := n.d
	// Until the first device is tracked, all are opened at home.
	if home := d.home(); home == 0 || netns == home || netns == 0 {
		return
	}
	d.work.Go(func() { // the check takes a while, which a forwarder does not have
		if !hasUsers(netns) {
			return
		}
		n.pinned.Store(netns)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.checking {
			d.checking = true
			d.work.Go(d.checkPinned)
		}
	})
}

// checkPinned looks for users of pinned namespaces, while there are any.
func (d *Driver) checkPinned() {
	tick := time.NewTicker(pinInterval)
	defer tick.Stop()
	unused := make(map[uint64]int) // checks in a row
	for {
		select {
		case <-d.stopped:
			return
		case <-tick.C:
		}
		pinned := d.pinnedNow()
		if len(pinned) == 0 {
			return
		}
		for netns := range pinned {
			if hasUsers(netns) {
				unused[netns] = 0
				continue
			}
			if unused[netns]++; unused[netns] == 2 {
				d.event(link.Event{Kind: link.Died, NetNS: netns})
			}
		}
	}
}

// pinnedNow returns the namespaces that are pinned by a device in them. If
// there are none, checkPinned ends.
func (d *Driver) pinnedNow() map[uint64]bool {
	pinned := make(map[uint64]bool)
	for _, n := range d.devices() {
		if netns := n.pinned.Load(); netns != 0 && netns == n.at().netns {
			pinned[netns] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checking = len(pinned) > 0
	return pinned
}

// hasUsers reports whether a namespace has a name, a thread in it, or a process
// that holds it open. Files that cannot be read are ignored, unless the process
// is out of descriptors and could read none.
func hasUsers(netns uint64) bool {
	paths, err := netnsPaths()
	if err != nil {
		return true
	}
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Ino == netns {
			return true
		}
	}
	name := fmt.Sprintf("net:[%d]", netns)
	// A name may be a mount anywhere.
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err == nil && bytes.Contains(mounts, []byte(name)) {
		return true
	}
	for _, pattern := range []string{"/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		paths, _ := filepath.Glob(pattern) // the only error is a bad pattern
		for _, path := range paths {
			if to, err := os.Readlink(path); err == nil && to == name {
				return true
			}
		}
	}
	return shortage.Descriptors(1) != nil
}

// queues opens more queues of a netdev.
type queues struct {
	*tuntap.Device
	n *netdev
}

// AddQueues attaches more queues, in the namespace that the device is in now.
// It leaves the process descriptors for other things.
func (q queues) AddQueues(more int) error {
	if q.Queues() > 1 {
		if err := enough(more + spare); err != nil {
			return err
		}
	}
	err := q.Device.AddQueues(more)
	if fd, e := q.NetNS(); e == nil {
		q.n.pin(link.NSID(fd))
		unix.Close(fd)
	}
	return err
}

// home returns the NSID of the namespace in which devices are created; 0 before
// the first is tracked.
func (d *Driver) home() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watcher == nil {
		return 0
	}
	return d.watcher.Home()
}
