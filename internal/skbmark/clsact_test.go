package skbmark_test

import (
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// qdiscs returns the kinds of qdisc on a device, and the number of our filters
// on its ingress.
func qdiscs(t *testing.T, ns *testnet.NS, name string) (kinds string, ours int) {
	t.Helper()
	ns.Do(func() {
		t.Helper()
		device, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := netlink.QdiscList(device)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, q := range list {
			found = append(found, q.Type())
		}
		kinds = strings.Join(found, " ")
		filters, err := netlink.FilterList(device, netlink.HANDLE_MIN_INGRESS)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range filters {
			if bpf, ok := f.(*netlink.BpfFilter); ok && bpf.Name == skbmark.FilterName {
				ours++
			}
		}
	})
	return kinds, ours
}

// clsactOnly returns an unattached Incoming that does not use tcx.
func clsactOnly(t *testing.T) *skbmark.Incoming {
	t.Helper()
	i, err := skbmark.NewIncoming()
	if err != nil {
		t.Fatal(err)
	}
	i.WithoutTCX()
	return i
}

// mustClose closes i in the namespace of its interface.
func mustClose(t *testing.T, ns *testnet.NS, i *skbmark.Incoming) {
	t.Helper()
	ns.Do(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
}

// In another namespace Close only disarms, and leaves other interfaces alone.
func TestClsactClosedElsewhere(t *testing.T) {
	ns, elsewhere := namespace(t), namespace(t)
	d := openDevice(t, ns, "t0", 1)
	openDevice(t, elsewhere, "t0", 1)
	other := clsactOnly(t)
	attach(t, elsewhere, "t0", other)
	i := clsactOnly(t)
	attach(t, ns, "t0", i)
	i.Arm(7)
	mustClose(t, elsewhere, i)
	if kinds, ours := qdiscs(t, elsewhere, "t0"); !strings.Contains(kinds, "clsact") || ours != 1 {
		t.Errorf("qdiscs of another interface %q, %d filters; want clsact, 1", kinds, ours)
	}
	r := newReceiver(t, ns)
	write(t, d, packet(7))
	if _, mark, ok := r.receive(t); mark != 0 || !ok {
		t.Errorf("received %v, mark %d, want none", ok, mark)
	}
	mustClose(t, elsewhere, other)
}

// The filter of an interface must not keep its namespace alive.
func TestClsactLetsTheNamespaceDie(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	home := testnet.New(t)
	fd, err := link.NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	d := openDevice(t, home, "t0", 1)
	if err := home.Link().MoveToNetNS(home.Index("t0"), fd); err != nil {
		t.Fatal(err)
	}
	i := clsactOnly(t)
	err = link.InNetNS(fd, func() error {
		h, err := link.Open(-1)
		if err != nil {
			return err
		}
		defer h.Close()
		s, err := h.ByName("t0")
		if err != nil {
			return err
		}
		return i.Attach(s.Index)
	})
	unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the namespace is gone", func() bool {
		_, err := unix.Write(d.queues[0], packet(1))
		return err == unix.EBADFD
	})
	if err := i.Close(); err != nil {
		t.Error(err)
	}
}

func TestClsactRemovesItsQdisc(t *testing.T) {
	ns := namespace(t)
	openDevice(t, ns, "t0", 1)
	i := clsactOnly(t)
	attach(t, ns, "t0", i)
	if kinds, ours := qdiscs(t, ns, "t0"); !strings.Contains(kinds, "clsact") || ours != 1 {
		t.Errorf("qdiscs %q, %d filters; want clsact, 1", kinds, ours)
	}
	mustClose(t, ns, i)
	if kinds, ours := qdiscs(t, ns, "t0"); strings.Contains(kinds, "clsact") || ours != 0 {
		t.Errorf("qdiscs %q, %d filters; want no clsact, 0", kinds, ours)
	}
}

func TestClsactKeepsAnothersQdisc(t *testing.T) {
	for _, kind := range []string{"clsact", "ingress"} {
		t.Run(kind, func(t *testing.T) {
			ns := namespace(t)
			testnet.Need(t, "tc")
			d := openDevice(t, ns, "t0", 1)
			ns.MustRun("tc", "qdisc", "add", "dev", "t0", kind)
			i := clsactOnly(t)
			attach(t, ns, "t0", i)
			checkIncoming(t, ns, d, i)
			mustClose(t, ns, i)
			if kinds, ours := qdiscs(t, ns, "t0"); !strings.Contains(kinds, kind) || ours != 0 {
				t.Errorf("qdiscs %q, %d filters; want %s, 0", kinds, ours, kind)
			}
		})
	}
}

// A filter that others add to our qdisc runs after ours, and stays.
func TestClsactKeepsAnothersFilter(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	i := clsactOnly(t)
	attach(t, ns, "t0", i)
	other := newIncoming(t)
	index := ns.Index("t0")
	ns.Do(func() {
		t.Helper()
		err := netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: index,
				Parent:    netlink.HANDLE_MIN_INGRESS,
				Protocol:  unix.ETH_P_ALL,
				Priority:  0xffff,
			},
			Fd:           other.Program().FD(),
			Name:         "other",
			DirectAction: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	other.Arm(9)
	i.Arm(7)
	r := newReceiver(t, ns)
	write(t, d, packet(7))
	if p, mark, ok := r.receive(t); !ok || p != 7 || mark != 9 || !i.Seen() || !other.Seen() {
		t.Errorf("received %v, packet %d with mark %d, seen %v and %v; want mark 9, seen by both", ok, p, mark, i.Seen(), other.Seen())
	}
	mustClose(t, ns, i)
	write(t, d, packet(8))
	if p, mark, ok := r.receive(t); !ok || p != 8 || mark != 9 {
		t.Errorf("received %v, packet %d with mark %d; want the other's mark, 9", ok, p, mark)
	}
}

func TestClsactReplacesWhatWasLeftBehind(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	stale := clsactOnly(t) // as left by a crashed process
	attach(t, ns, "t0", stale)
	i := clsactOnly(t)
	attach(t, ns, "t0", i)
	if _, ours := qdiscs(t, ns, "t0"); ours != 1 {
		t.Errorf("%d filters, want 1", ours)
	}
	stale.Arm(5)
	checkIncoming(t, ns, d, i)
	mustClose(t, ns, stale) // must not touch the filter, which is another's now
	checkIncoming(t, ns, d, i)
	mustClose(t, ns, i)
}
