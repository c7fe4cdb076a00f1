package skbmark_test

import (
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// qdiscs returns the kinds of qdisc on a device, and ours the number of our
// filters on its ingress.
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

// clsactOnly returns an Incoming, not attached, that does without tcx.
func clsactOnly(t *testing.T) *skbmark.Incoming {
	t.Helper()
	i, err := skbmark.NewIncoming()
	if err != nil {
		t.Fatal(err)
	}
	i.WithoutTCX()
	return i
}

func mustClose(t *testing.T, i *skbmark.Incoming) {
	t.Helper()
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
	mustClose(t, i)
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
			mustClose(t, i)
			if kinds, ours := qdiscs(t, ns, "t0"); !strings.Contains(kinds, kind) || ours != 0 {
				t.Errorf("qdiscs %q, %d filters; want %s, 0", kinds, ours, kind)
			}
		})
	}
}

// Somebody adds a filter to the qdisc we made: it runs behind ours, and stays.
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
	mustClose(t, i)
	write(t, d, packet(8))
	if p, mark, ok := r.receive(t); !ok || p != 8 || mark != 9 {
		t.Errorf("received %v, packet %d with mark %d; want the other's mark, 9", ok, p, mark)
	}
}

func TestClsactReplacesWhatWasLeftBehind(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	stale := clsactOnly(t) // as if its process had crashed
	attach(t, ns, "t0", stale)
	i := clsactOnly(t)
	attach(t, ns, "t0", i)
	if _, ours := qdiscs(t, ns, "t0"); ours != 1 {
		t.Errorf("%d filters, want 1", ours)
	}
	stale.Arm(5)
	checkIncoming(t, ns, d, i)
	mustClose(t, stale) // does not touch the filter that is another's now
	checkIncoming(t, ns, d, i)
	mustClose(t, i)
}
