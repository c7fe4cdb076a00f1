package config

import (
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
		{"only the out-channel counts", solo(func(i *Interface) { i.ReaderProtocol = 1 }), DefaultRenew},
		{"the in-channel does not", solo(func(i *Interface) { i.WriterProtocol = 1 }), 0},
		{"not Ethernet", solo(func(i *Interface) { i.Format = element.NetHdr }), 0},
		{"only out", solo(func(i *Interface) { i.In = "" }), 0},
		{"only in", solo(func(i *Interface) { i.Out = "" }), 0},
		{"off", solo(func(i *Interface) { i.Renew = RenewOff }), 0},
		{"other", solo(func(i *Interface) { i.Renew = 7 * time.Second }), 7 * time.Second},
		{"set explicitly", solo(func(i *Interface) { i.Format, i.Renew = element.NetHdr, 3*time.Second }), 3 * time.Second},
	} {
		if got := c.i.RenewAfter(); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestPollAfter(t *testing.T) {
	for poll, want := range map[time.Duration]time.Duration{0: DefaultPoll, PollFastest: ShortestPoll, 7 * time.Millisecond: 7 * time.Millisecond, MaxPoll: MaxPoll} {
		if got := (Load{Poll: poll}).PollAfter(); got != want {
			t.Errorf("Poll %v stands for %v, want %v", poll, got, want)
		}
	}
}
