package datapath

import (
	"os"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
)

// gone is a device that was deleted.
type gone struct{ *fakeDevice }

func (gone) Wait(func() bool) error { return os.ErrClosed }

// An order between an error of the device and the pause after it is kept.
func TestOutboundHaltKeepsOrders(t *testing.T) {
	for _, w := range []order{run, pause, quit} {
		o := NewOutbound(OutboundConfig{Device: newFakeDevice()})
		o.Resume()
		o.setOrder(w)
		halted := make(chan order)
		go func() {
			o.halt()
			halted <- o.order()
		}()
		want := pause
		if w == quit {
			want = quit
		}
		if got := <-halted; got != want {
			t.Errorf("order %d is %d after the halt, want %d", w, got, want)
		}
	}
}

// A forwarder whose device is gone can be closed at any time.
func TestOutboundClosesWithoutDevice(t *testing.T) {
	for i := range 20 {
		o := NewOutbound(OutboundConfig{Device: gone{newFakeDevice()}})
		o.Resume()
		go o.Run()
		if i%2 == 0 {
			testnet.Eventually(t, "the halt", func() bool { return o.order() == pause })
		}
		o.Close()
	}
}
