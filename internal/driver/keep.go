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

// A descriptor of a TUN/TAP device keeps alive the network namespace in which it
// was opened, and it can be attached to an existing device only if that is the
// device's. So a device that is taken over in another namespace, or gets more
// queues there, keeps that namespace alive after everything else in it has ended.
// The only way out is to look whether that is so.

// keptInterval is between two looks whether a namespace has users. One without
// any at two looks in a row is taken for dead.
var keptInterval = 5 * time.Second

// keep notes that a descriptor of the device was opened in a namespace. One
// without users that can be seen even now is never taken for dead.
func (f *followed) keep(netns uint64) {
	d := f.d
	// Before the first device is watched, all are made at home.
	if home := d.home(); home == 0 || netns == home || netns == 0 {
		return
	}
	d.work.Go(func() { // to look takes a while, which a forwarder does not have
		if !hasUsers(netns) {
			return
		}
		f.kept.Store(netns)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.keeping {
			d.keeping = true
			d.work.Go(d.checkKept)
		}
	})
}

// checkKept looks for users of namespaces that devices in them keep alive, while
// there are such.
func (d *Driver) checkKept() {
	tick := time.NewTicker(keptInterval)
	defer tick.Stop()
	unused := make(map[uint64]int) // looks in a row
	for {
		select {
		case <-d.stopped:
			return
		case <-tick.C:
		}
		all := d.keptNow()
		if len(all) == 0 {
			return
		}
		for netns := range all {
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

// keptNow returns the namespaces that a device in them keeps alive. With none,
// checkKept ends.
func (d *Driver) keptNow() map[uint64]bool {
	all := make(map[uint64]bool)
	for _, f := range d.devices() {
		if netns := f.kept.Load(); netns != 0 && netns == f.at().netns {
			all[netns] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeping = len(all) > 0
	return all
}

// hasUsers tells whether a namespace has a name, a thread in it, or a process that
// holds it open. What cannot be read has no say, but for want of descriptors
// nothing could be.
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

// queues are those of a device that is followed.
type queues struct {
	*tuntap.Device
	f *followed
}

// AddQueues attaches n more queues, where the device is now. Growth leaves the
// process descriptors for other things.
func (q queues) AddQueues(n int) error {
	if q.Queues() > 1 {
		if err := enough(n + spare); err != nil {
			return err
		}
	}
	err := q.Device.AddQueues(n)
	if fd, e := q.NetNS(); e == nil {
		q.f.keep(link.NSID(fd))
		unix.Close(fd)
	}
	return err
}

// home is the NSID of the namespace in which devices are made; 0 before the first
// is watched.
func (d *Driver) home() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watcher == nil {
		return 0
	}
	return d.watcher.Home()
}
