package driver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
)

// mortal makes a namespace that lives until the descriptor is closed;
// testnet.NS would keep it alive by its path.
func (l *lab) mortal() (fd int, id uint64) {
	l.t.Helper()
	fd, err := link.NewNetNS()
	must(l.t, err)
	return fd, link.NSID(fd)
}

// lookForUsers sets the interval of these checks until the test ends.
func lookForUsers(t *testing.T, interval time.Duration) {
	old := pinInterval
	pinInterval = interval
	t.Cleanup(func() { pinInterval = old })
}

// carry moves an interface of the lab and waits until the driver tracks it
// there.
func (l *lab) carry(d *Driver, name string, fd int) {
	l.t.Helper()
	must(l.t, l.ns.Link().MoveToNetNS(l.ns.State(name).Index, fd))
	testnet.Eventually(l.t, "move of "+name, func() bool {
		return slices.ContainsFunc(d.Status(), func(s api.Interface) bool { return s.Name == name && s.NetNS == link.NSID(fd) })
	})
}

// Neither a moved interface, nor children that were made there, nor the marks
// of both keep a namespace alive.
func TestNamespaceDies(t *testing.T) {
	lookForUsers(t, time.Hour) // not needed here
	l := newLab(t)
	d := l.driver()
	other := netHdr("net1")
	other.In, other.Out = "b", "c"
	l.mustLoad(d, netHdr("net0"), other)
	l.ns.Do(func() { must(t, d.AddChild("net0", "child0")) }) // stays at home
	fd, id := l.mortal()
	l.carry(d, "net0", fd)
	must(t, d.AddChild("net0", "child1"))
	must(t, d.AddMark("child1", 7))
	s := d.Status()[0]
	if s.Children[0].NetNS != l.ns.ID() || s.Children[1].NetNS != id || s.Children[1].Name != "child1" {
		t.Errorf("children %+v; want child0 in %d, child1 in %d", s.Children, l.ns.ID(), id)
	}
	inThere, err := link.Open(fd)
	must(t, err)
	must(t, inThere.SetUp(s.Index))
	must(t, inThere.SetMTU(s.Index, 1400))
	must(t, inThere.SetName(s.Children[1].Index, "child2"))
	inThere.Close()
	testnet.Eventually(t, "events from there", func() bool {
		s := d.Status()[0]
		return s.Up && s.MTU == 1400 && s.Children[1].Name == "child2"
	})
	unix.Close(fd)
	testnet.Eventually(t, "end of the namespace", func() bool { return len(d.Status()) == 1 })
	if !l.log.contains("network namespace has ended") {
		t.Error("nothing is said about it")
	}
	testnet.Eventually(t, "end of the child at home", func() bool { return slices.Equal(l.ns.Names(), []string{"net1"}) })
	l.mustLoad(d, netHdr("net0"))
}

// Only a child was moved: its parent stays and has its marks.
func TestNamespaceOfAChildDies(t *testing.T) {
	lookForUsers(t, time.Hour)
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	must(t, d.AddChild("net0", "child0"))
	must(t, d.AddMark("child0", 7))
	fd, id := l.mortal()
	must(t, l.ns.Link().MoveToNetNS(l.ns.State("child0").Index, fd))
	testnet.Eventually(t, "move", func() bool { return status(t, d).Children[0].NetNS == id })
	unix.Close(fd)
	testnet.Eventually(t, "end of the namespace", func() bool { return len(status(t, d).Children) == 0 })
	must(t, d.AddChild("net0", "child0"))
	must(t, d.AddMark("child0", 7))
}

// A descriptor that was opened in a namespace pins it: the driver has to see
// that the device is its last user.
func TestPinnedNamespaceDies(t *testing.T) {
	lookForUsers(t, 20*time.Millisecond)
	for name, keep := range map[string]func(*lab, *Driver) *Driver{
		"adopted": func(l *lab, d *Driver) *Driver {
			crash(d)
			d = l.driver()
			l.mustLoad(d, netHdr("net0"))
			return d
		},
		"more queues": func(l *lab, d *Driver) *Driver {
			f := &d.parents[0].netdev
			must(l.t, queues{f.dev, f}.AddQueues(1))
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			d := l.driver()
			l.mustLoad(d, netHdr("net0"))
			fd, id := l.mortal()
			// The user is a process in it.
			sleep := exec.Command(testnet.Need(t, "sleep"), "1000")
			must(t, link.InNetNS(fd, sleep.Start))
			end := sync.OnceFunc(func() {
				_ = sleep.Process.Kill()
				_ = sleep.Wait()
			})
			t.Cleanup(end)
			l.carry(d, "net0", fd)
			testnet.Eventually(t, "state", func() bool {
				records, err := d.state.read()
				return err == nil && len(records) == 1 && records[0].NetNS == id
			})
			d = keep(l, d)
			testnet.Eventually(t, "note", func() bool { return d.parents[0].pinned.Load() == id })
			unix.Close(fd)
			time.Sleep(5 * pinInterval) // for what must not happen
			if s := status(t, d); s.NetNS != id {
				t.Errorf("status %+v, want namespace %d: a process is in it", s, id)
			}
			end()
			testnet.Eventually(t, "end of the namespace", func() bool { return len(d.Status()) == 0 })
			l.mustLoad(d, netHdr("net0"))
		})
	}
}

func TestHasUsers(t *testing.T) {
	testnet.Privileged(t)
	ns := testnet.New(t)
	if !hasUsers(ns.ID()) {
		t.Error("this process holds it open and is not seen")
	}
	fd, err := link.NewNetNS()
	must(t, err)
	id := link.NSID(fd)
	name := filepath.Join(t.TempDir(), "mount")
	must(t, os.WriteFile(name, nil, 0o600))
	must(t, unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), name, "", unix.MS_BIND, ""))
	unix.Close(fd)
	if !hasUsers(id) {
		t.Error("it is mounted, and that is not seen")
	}
	must(t, unix.Unmount(name, unix.MNT_DETACH))
	if hasUsers(id) {
		t.Error("it has ended, and still has users")
	}
}

// A device is moved while the process has no free descriptor.
func TestFollowsOnceItCan(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	there := testnet.New(t)
	h, index := l.ns.Link(), l.ns.State("net0").Index
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}))
	restore := func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }
	t.Cleanup(restore)
	must(t, h.MoveToNetNS(index, there.FD()))
	testnet.Eventually(t, "warning", func() bool { return l.log.contains("cannot be tracked now") })
	restore()
	testnet.Eventually(t, "move", func() bool { return status(t, d).NetNS == there.ID() })
}
