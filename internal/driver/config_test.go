package driver

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/config"
)

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
		if _, err := l.load(d, i); err == nil || !strings.Contains(err.Error(), "interface net0: Renew 1s: needs an in and an out channel") {
			t.Errorf("error %v", err)
		}
		i.Renew = config.RenewOff
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
	normal := config.DefaultBusyPoll
	if runtime.NumCPU() == 1 {
		normal = 0
	}
	for given, want := range map[time.Duration]time.Duration{0: normal, config.BusyPollOff: 0, 7 * time.Microsecond: 7 * time.Microsecond} {
		if got := busyPoll(Config{BusyPoll: given}); got != want {
			t.Errorf("%v stands for %v, want %v", given, got, want)
		}
	}
	runtime.GOMAXPROCS(3)
	if got := busyPoll(Config{}); got != 0 {
		t.Errorf("%v by default where other goroutines need the place", got)
	}
}
