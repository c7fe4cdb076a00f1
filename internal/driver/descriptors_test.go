package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// limited calls f while the process may have at most n descriptors.
func limited(t testing.TB, n int, f func()) {
	t.Helper()
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: before.Max}))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	f()
}

// opened lists the descriptors of the process and what they refer to.
func opened(t testing.TB) (all []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // not that of the directory
			all = append(all, e.Name()+" "+what)
		}
	}
	return all
}

// settled waits until the process has the same descriptors as before.
func settled(t testing.TB, before []string) {
	t.Helper()
	testnet.EventuallyNil(t, func() error {
		if now := opened(t); !slices.Equal(now, before) {
			return fmt.Errorf("descriptors\n%s\nwant\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
		}
		return nil
	})
}

// notified waits until the kernel reports changed files, a moment after a load.
func notified(t testing.TB) {
	t.Helper()
	testnet.Eventually(t, "inotify", func() bool { return watching(t) })
}

// watching reports whether the process has an inotify descriptor.
func watching(t testing.TB) bool {
	return slices.ContainsFunc(opened(t), func(s string) bool { return strings.Contains(s, "inotify") })
}

// unguarded lets loads and children be tried with too few descriptors.
func unguarded(t testing.TB) {
	enough = func(int) error { return nil }
	t.Cleanup(func() { enough = shortage.Descriptors })
}

// ofShortage checks that an error says what has run out and what the limit is.
func ofShortage(t testing.TB, limit int, err error) {
	t.Helper()
	if !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), fmt.Sprintf("this process may have %d:", limit)) {
		t.Errorf("limit %d: error %v, want one that names it", limit, err)
	}
	if strings.Contains(err.Error(), "not supported") {
		t.Errorf("limit %d: %v", limit, err)
	}
}

// With any number of descriptors a load either works or fails and leaves
// nothing behind, even if it is not refused beforehand. A failure has no
// lasting effect on what the driver knows of the kernel.
func TestLoadWithFewDescriptors(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		for _, format := range []element.Format{element.Raw, element.NetHdr, element.EthDev} {
			t.Run(fmt.Sprintf("%v guarded=%v", format, guarded), func(t *testing.T) {
				l := newLab(t)
				if !guarded {
					unguarded(t)
				}
				i := netHdr("net0")
				i.Format = format
				h := l.ns.Link()
				limit := 3
				for ; ; limit++ {
					before := opened(t)
					d := New(Options{Channels: l.dir, State: l.state})
					var err error
					l.ns.Do(func() {
						limited(t, limit, func() { _, err = d.Load(Config{Interfaces: []Interface{i}}) })
					})
					if err == nil {
						l.works(d, format)
						must(t, d.Close())
						break
					}
					ofShortage(t, limit, err)
					if all, err := h.List(); err != nil || len(all) != 1 || len(d.Status()) > 0 {
						t.Errorf("limit %d: left %v, %v, status %v", limit, all, err, d.Status())
					}
					must(t, d.Close())
					settled(t, before)
					if _, err := os.Stat(l.state); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("limit %d: state file: %v", limit, err)
					}
				}
				if limit < 10 {
					t.Errorf("a load works with %d descriptors: the limit is none", limit)
				}
			})
		}
	}
}

// works checks that net0 comes up, and with marks that it carries packets.
func (l *lab) works(d *Driver, format element.Format) {
	l.t.Helper()
	net0 := l.ns.State("net0").Index
	must(l.t, l.ns.Link().AddAddress(net0, netip.MustParsePrefix("10.0.0.1/24")))
	must(l.t, l.ns.Link().SetUp(net0))
	testnet.Eventually(l.t, "writer", func() bool { return status(l.t, d).Writer.Enabled })
	if format != element.NetHdr {
		return
	}
	if m := status(l.t, d).Marking; m.Outgoing != "active" || !strings.HasPrefix(m.Incoming, "active") {
		l.t.Errorf("marks %+v", m)
	}
	p := l.peer("a")
	p.start()
	p.sendMarked(7, packet(1))
	testnet.Eventually(l.t, "received packet", func() bool { return status(l.t, d).Stats.RxPackets == 1 })
	next := l.reader("b")
	l.sender("10.0.0.2")(9)
	testnet.Eventually(l.t, "sent packet", func() bool {
		got, result := next()
		return result == shmstream.Success && got.Mark == 9
	})
}

// The figures of the documentation, and those by which loads are refused: a
// load takes no more, and not much less.
func TestDescriptorsOfAnInterface(t *testing.T) {
	l := newLab(t)
	took := func(what string, most int, f func()) {
		t.Helper()
		before := len(opened(t))
		f()
		n := len(opened(t)) - before
		t.Logf("%s takes %d descriptors, said are %d", what, n, most)
		if n > most || n < most-5 {
			t.Errorf("%s takes %d descriptors, said are %d", what, n, most)
		}
	}
	for _, format := range []element.Format{element.Raw, element.NetHdr, element.EthDev} {
		d := l.driver()
		i := netHdr("net0")
		i.Format = format
		took(format.String(), d.descriptors(i)+perDriver, func() {
			l.mustLoad(d, i)
			notified(t)
		})
		if format == element.NetHdr {
			for _, name := range []string{"child0", "child1"} {
				took("child", perChild, func() {
					must(t, d.AddChild("net0", name))
					must(t, d.AddMark(name, uint32(name[5])))
				})
			}
		}
		before := len(opened(t))
		must(t, d.Close())
		testnet.Eventually(t, "closed", func() bool { return len(opened(t)) < before })
	}
}

// A process that has run out of descriptors refuses every request that needs
// some.
func TestChildWithFewDescriptors(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		t.Run(fmt.Sprintf("guarded=%v", guarded), func(t *testing.T) {
			l := newLab(t)
			if !guarded {
				unguarded(t)
			}
			d := l.driver()
			l.mustLoad(d, netHdr("net0"))
			notified(t)
			h := l.ns.Link()
			for limit, worked := 3, false; !worked; limit++ {
				before := opened(t)
				var err error
				limited(t, limit, func() { err = d.AddChild("net0", "child0") })
				if worked = err == nil; !worked {
					ofShortage(t, limit, err)
					settled(t, before)
					if all, err := h.List(); err != nil || len(all) != 2 || len(status(t, d).Children) > 0 {
						t.Errorf("limit %d: left %v, %v", limit, all, err)
					}
				}
			}
			limited(t, 3, func() {
				err := d.AddMark("child0", 7)
				if guarded {
					ofShortage(t, 3, err)
				}
			})
			if held := childStatus(t, d, "child0").Marks; guarded && len(held) > 0 {
				t.Errorf("it holds %v", held)
			}
			must(t, d.AddMark("child0", 8))
		})
	}
}

// A shortage of descriptors neither loses what a crash left nor creates it
// again.
func TestAdoptionWithFewDescriptors(t *testing.T) {
	l := newLab(t)
	unguarded(t)
	there := l.inhabited()
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	notified(t)
	must(t, d.AddChild("net0", "child0"))
	must(t, d.AddMark("child0", 7))
	l.move(d, "net0", there)
	net0 := status(t, d).Index
	crash(d)
	testnet.Eventually(t, "the end of inotify", func() bool { return !watching(t) })
	h := l.ns.Link()
	for limit, worked := 3, false; !worked; limit++ {
		before := opened(t)
		var d *Driver
		var err error
		l.ns.Do(func() {
			limited(t, limit, func() {
				d = New(Options{Channels: l.dir, State: l.state})
				_, err = d.Load(Config{Interfaces: []Interface{netHdr("net0")}})
			})
		})
		if worked = err == nil; worked {
			s := status(t, d)
			if s.Index != net0 || s.NetNS != there.ID() || len(s.Children) != 1 || !slices.Equal(s.Children[0].Marks, []uint32{7}) {
				t.Errorf("limit %d: status %+v", limit, s)
			}
		} else {
			ofShortage(t, limit, err)
		}
		must(t, d.Close())
		settled(t, before)
		if all, err := h.List(); err != nil || !worked && len(all) != 2 {
			t.Fatalf("limit %d: interfaces %v, %v", limit, all, err)
		}
	}
}

// A moved device is tracked once there are descriptors again, and until then it
// does not count as deleted.
func TestMoveWithFewDescriptors(t *testing.T) {
	l := newLab(t)
	there := l.inhabited()
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	index := l.ns.State("net0").Index
	h, to := l.ns.Link(), there.FD()
	limited(t, 3, func() {
		must(t, h.MoveToNetNS(index, to))
		testnet.Eventually(t, "a try to follow it", func() bool { return l.log.contains("cannot be tracked now") })
		if !hasUsers(1) {
			t.Error("a namespace is taken for dead")
		}
		if _, err := openNetNS(there.ID()); !shortage.Is(err) {
			t.Errorf("look for a namespace: %v", err)
		}
	})
	if hasUsers(1) {
		t.Error("a namespace that is none has users")
	}
	testnet.Eventually(t, "move", func() bool { return status(t, d).NetNS == there.ID() })
}

// The queues for marks use free descriptors, but not those that other things
// need.
func TestQueuesGrowWithFewDescriptors(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	net0 := l.ns.State("net0").Index
	must(t, l.ns.Link().AddAddress(net0, netip.MustParsePrefix("10.0.0.1/24")))
	must(t, l.ns.Link().SetUp(net0))
	testnet.Eventually(t, "writer", func() bool { return status(t, d).Writer.Enabled })
	notified(t)
	send := l.sender("10.0.0.2")
	highest := 0
	for _, s := range opened(t) {
		fd, _, _ := strings.Cut(s, " ")
		n, err := strconv.Atoi(fd)
		must(t, err)
		if n < 200 { // what the test was started with may be anywhere
			highest = max(highest, n)
		}
	}
	limited(t, highest+1+spare+8, func() {
		for mark := range uint32(100) {
			send(mark + 1)
		}
		testnet.Eventually(t, "a try to grow", func() bool { return l.log.contains("no more queues") })
		if err := shortage.Descriptors(spare); err != nil || status(t, d).Marking.Queues != 16 {
			t.Errorf("%v, %d queues", err, status(t, d).Marking.Queues)
		}
	})
	testnet.Eventually(t, "more queues", func() bool {
		for mark := range uint32(100) {
			send(mark + 1)
		}
		return status(t, d).Marking.Queues > 16
	})
}
