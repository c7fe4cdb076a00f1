package driver

import (
	"bytes"
	"slices"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/testnet"
)

func TestStableAddr(t *testing.T) {
	seen := map[string]string{}
	for _, alias := range []string{"muennet in=a out=b", "muennet in=b out=a", "muennet in=a out=", "muennet in= out=a"} {
		mac := stableAddr([]byte("machine"), alias)
		if len(mac) != 6 || mac[0]&1 != 0 || mac[0]&2 == 0 {
			t.Errorf("%s: %v is no locally administered unicast address", alias, mac)
		}
		if !bytes.Equal(mac, stableAddr([]byte("machine"), alias)) {
			t.Errorf("%s: another address at the second call", alias)
		}
		if other, taken := seen[mac.String()]; taken {
			t.Errorf("%s and %s have one address", alias, other)
		}
		seen[mac.String()] = alias
	}
}

func TestUsableMTU(t *testing.T) {
	for _, c := range []struct {
		format          element.Format
		asked, is, want int
	}{
		{element.Raw, 10, 68, 10}, // as near as a TUN gets
		{element.Raw, 10, 69, 69}, // changed by the administrator
		{element.Raw, 100, 68, 68},
		{element.NetHdr, 1500, 68, 68},
		{element.NetHdr, 1500, 9000, 9000},
	} {
		p := &endpoint{cfg: Interface{Format: c.format, MTU: c.asked}}
		if got := p.usableMTU(c.is); got != c.want {
			t.Errorf("%v, mtu=%d, interface %d: %d, want %d", c.format, c.asked, c.is, got, c.want)
		}
	}
}

func TestFragilePeerKeepsItsMTU(t *testing.T) {
	l := newLab(t)
	for _, force := range []bool{false, true} {
		d := l.driver()
		i := ethDev("net0")
		i.WriterProtocol, i.Force = config.SoloProtocol, force
		l.mustLoad(d, i)
		index := l.ns.State("net0").Index
		if err := l.ns.Link().SetMTU(index, 1400); err != nil {
			t.Fatal(err)
		}
		want := 1500
		if force {
			want = 1400
		}
		testnet.Eventually(t, "mtu", func() bool { return status(t, d).MTU == want && l.ns.State("net0").MTU == want })
		if !force && !l.log.contains("set back") {
			t.Error("nothing is said about it")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedLoadLeavesNothing(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, Interface{Name: "net9", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol})
	bad := Interface{Name: "net1", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol}
	if _, err := l.load(d, netHdr("net0"), bad); err == nil {
		t.Fatal("two writers of one channel are no error")
	}
	if names := l.ns.Names(); !slices.Equal(names, []string{"net9"}) || len(d.Status()) != 1 {
		t.Errorf("interfaces %v, status %v", names, d.Status())
	}
	l.mustLoad(d, netHdr("net0")) // its channels are free again
}
