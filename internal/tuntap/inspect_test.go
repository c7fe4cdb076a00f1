package tuntap_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/tuntap"
)

func TestInspect(t *testing.T) {
	ns := namespace(t)
	inspect := func(index int) (info tuntap.Info, err error) {
		ns.Do(func() { info, err = tuntap.Inspect(index) })
		return info, err
	}
	for _, c := range []struct {
		add  []string
		want tuntap.Info
	}{
		{[]string{"mode", "tun"}, tuntap.Info{Kind: tuntap.TUN, Persistent: true, Owner: tuntap.NoOwner}},
		{[]string{"mode", "tap", "user", "12345"}, tuntap.Info{Kind: tuntap.TAP, Persistent: true, Owner: 12345}},
		{[]string{"mode", "tun", "multi_queue", "user", "0"}, tuntap.Info{Kind: tuntap.TUN, MultiQueue: true, Persistent: true}},
	} {
		ns.MustRun("ip", append([]string{"tuntap", "add", "t0"}, c.add...)...)
		if got, err := inspect(ns.Index("t0")); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v; want %+v", c.add, got, err, c.want)
		}
		ns.MustRun("ip", "link", "del", "t0")
	}
	dev := open(t, ns, tuntap.Config{Name: "q0", MultiQueue: true})
	want := tuntap.Info{Kind: tuntap.TUN, MultiQueue: true, Owner: tuntap.NoOwner, Queues: 1}
	if got, err := inspect(index(t, dev)); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if err := dev.SetPersist(true); err != nil {
		t.Fatal(err)
	}
	if err := dev.AddQueues(2); err != nil {
		t.Fatal(err)
	}
	want.Queues, want.Persistent, want.Owner = 3, true, os.Geteuid()
	if got, err := inspect(index(t, dev)); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if err := dev.SetPersist(false); err != nil {
		t.Fatal(err)
	}
	if got, err := inspect(ns.Index("lo")); !errors.Is(err, unix.EINVAL) {
		t.Errorf("lo: %+v, %v", got, err)
	}
	if got, err := inspect(12345); !errors.Is(err, unix.ENODEV) {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}
