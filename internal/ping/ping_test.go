package ping

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
)

func TestRoundTrip(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	for _, to := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(to)
		conn, err := net.DialIP(Network(addr), nil, &net.IPAddr{IP: addr.AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p := New(conn, addr)
		for seq, size := range []int{0, 1, 1400, 56} {
			if _, err := p.RoundTrip(seq, make([]byte, size), 30*time.Second); err != nil {
				t.Errorf("%s, %d bytes: %v", to, size, err)
			}
		}
		if _, err := p.RoundTrip(4, nil, -time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v after the limit, want os.ErrDeadlineExceeded", to, err)
		}
	}
}
