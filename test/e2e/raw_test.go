package e2e

import (
	"fmt"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// raw are packets of these sizes, of any bytes.
func raw(sizes ...int) (packets [][]byte) {
	for _, n := range sizes {
		packets = append(packets, content(n, n))
	}
	return packets
}

// padded is what raw mode makes of a packet: zeros up to size bytes.
func padded(size int) func([]byte) []byte {
	return func(sent []byte) []byte { return append(sent[:len(sent):len(sent)], make([]byte, size-len(sent))...) }
}

// packets receives and sends whatever net0 carries.
func (h *host) packets() *testnet.PacketSocket {
	h.t.Helper()
	return h.Packet(testnet.PacketConfig{Interface: "net0"})
}

func TestRawOfEverySize(t *testing.T) {
	begin(t)
	p := newPair(t, "")
	p.upQuiet()
	a, b := p.a.packets(), p.b.packets()
	all := raw(sizes(1, 1500)...)
	exchange(t, a, b, all, padded(1500))
	exchange(t, b, a, all, padded(1500))
	// Backwards: each is shorter than what was in its element before.
	exchange(t, a, b, raw(1500, 700, 2, 1), padded(1500))
	p.nothingLost(t)
	const want, back = 1504, 1500
	if s := p.a.show("net0").Stats; s.TxPackets != want || s.RxPackets != back || s.RxBytes != back*1500 {
		t.Errorf("%+v, want %d packets out, %d of 1500 bytes in", s, want, back)
	}
}

// What looks like an IP packet is carried as any other.
func TestRawCarriesIP(t *testing.T) {
	begin(t)
	p := newPair(t, "")
	p.upQuiet()
	a, b := p.a.packets(), p.b.packets()
	var all [][]byte
	for _, first := range []byte{0x00, 0x45, 0x4f, 0x60, 0xff} {
		packet := content(int(first), 100)
		all = append(all, append([]byte{first}, packet...))
	}
	exchange(t, a, b, all, padded(1500))
}

// A TUN's own MTU cannot be below 68; the elements are of the size asked for
// all the same, and what does not fit is counted.
func TestRawBelowTheKernelsMTU(t *testing.T) {
	for _, mtu := range []int{1, 20, 67, 68} {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			begin(t)
			p := newPair(t, "", fmt.Sprintf("mtu=%d", mtu))
			for round := range 2 { // before and after "down"
				p.upQuiet()
				a, b := p.a.packets(), p.b.packets()
				exchange(t, a, b, raw(sizes(1, mtu)...), padded(mtu))
				exchange(t, b, a, raw(sizes(1, mtu)...), padded(mtu))
				for n := mtu + 1; n <= 68; n++ {
					if err := a.Send(content(n, n)); err != nil {
						t.Fatal(err)
					}
				}
				oversize := uint64((round + 1) * (68 - mtu))
				p.a.awaitShow("net0", "what is too long is dropped", func(s api.Interface) bool {
					return s.Stats.TxDropped == oversize && s.Drops["tx_oversize"] == oversize
				})
				if s := p.a.show("net0"); s.MTU != mtu || s.Writer.ElementSize != mtu || s.Reader.ElementSize != mtu {
					t.Errorf("mtu %d, elements of %d and %d bytes; want %d", s.MTU, s.Writer.ElementSize, s.Reader.ElementSize, mtu)
				}
				if got := p.a.State("net0").MTU; got != 68 {
					t.Errorf("the interface's own MTU is %d, want 68", got)
				}
				p.a.ip("link set net0 down")
			}
		})
	}
}
