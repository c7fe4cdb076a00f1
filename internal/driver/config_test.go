package driver

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
)

func TestRenewal(t *testing.T) {
	solo := func(change func(*Interface)) Interface {
		i := Interface{Name: "net0", Format: element.EthDev, In: "a", Out: "b", ReaderProtocol: SoloProtocol, WriterProtocol: SoloProtocol}
		change(&i)
		return i
	}
	for _, c := range []struct {
		what string
		i    Interface
		want time.Duration
	}{
		{"Solo5", solo(func(*Interface) {}), DefaultRenew},
		{"the out-channel counts", solo(func(i *Interface) { i.ReaderProtocol = 1 }), DefaultRenew},
		{"and only that", solo(func(i *Interface) { i.WriterProtocol = 1 }), 0},
		{"not Ethernet", solo(func(i *Interface) { i.Format = element.NetHdr }), 0},
		{"only out", solo(func(i *Interface) { i.In = "" }), 0},
		{"only in", solo(func(i *Interface) { i.Out = "" }), 0},
		{"off", solo(func(i *Interface) { i.Renew = RenewOff }), 0},
		{"other", solo(func(i *Interface) { i.Renew = 7 * time.Second }), 7 * time.Second},
		{"asked for", netHdrWith(3 * time.Second), 3 * time.Second},
	} {
		if got := c.i.renewal(); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func netHdrWith(renew time.Duration) Interface {
	i := netHdr("net0")
	i.Renew = renew
	return i
}

func TestRenewNeedsBothChannels(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	for _, spoil := range []func(*Interface){
		func(i *Interface) { i.In, i.ReaderProtocol = "", 0 },
		func(i *Interface) { i.Out, i.WriterProtocol = "", 0 },
	} {
		i := netHdrWith(time.Second)
		spoil(&i)
		if _, err := l.load(d, i); err == nil || !strings.Contains(err.Error(), "interface net0: renew after 1s: want an in and an out channel") {
			t.Errorf("error %v", err)
		}
		i.Renew = RenewOff
		l.mustLoad(d, i)
		if got := status(t, d).Renew; got != 0 {
			t.Errorf("renew is shown as %d", got)
		}
		must(t, d.UnloadAll())
	}
	l.mustLoad(d, netHdrWith(time.Second))
	if got := status(t, d).Renew; got != 1 {
		t.Errorf("renew is shown as %d, want 1", got)
	}
}

func TestBusyPoll(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	normal := DefaultBusyPoll
	if runtime.NumCPU() == 1 {
		normal = 0
	}
	for given, want := range map[time.Duration]time.Duration{0: normal, BusyPollOff: 0, 7 * time.Microsecond: 7 * time.Microsecond} {
		if got := (Config{BusyPoll: given}).busyPoll(); got != want {
			t.Errorf("%v stands for %v, want %v", given, got, want)
		}
	}
	runtime.GOMAXPROCS(3)
	if got := (Config{}).busyPoll(); got != 0 {
		t.Errorf("%v by default where other goroutines need the place", got)
	}
}
