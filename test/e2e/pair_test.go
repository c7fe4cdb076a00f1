package e2e

import (
	"errors"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/feed"
)

// pair is two hosts with their channels crossed. Each has net0, up.
type pair struct {
	a, b *host
}

// Addresses of the hosts of a pair.
const (
	addrA, addrB   = "192.168.1.1", "192.168.1.2"
	addrA6, addrB6 = "fd00:1::1", "fd00:1::2"
)

// newPair starts two hosts with net0 of these flags, which may be empty, and
// these other parameters on both.
func newPair(t *testing.T, flags string, params ...string) *pair {
	t.Helper()
	params = append(params, "flags="+flags, "reader_protocol=12", "writer_protocol=12")
	return startPair(t, params, params)
}

// startPair starts two hosts with net0 of these parameters, to which the
// crossed channels "ab" and "ba" are added.
func startPair(t *testing.T, a, b []string) *pair {
	t.Helper()
	dir := makeChannels(t, "ab", "ba")
	p := &pair{newHost(t, dir), newHost(t, dir)}
	p.a.start(append([]string{"name=net0", "in=ba", "out=ab"}, a...)...)
	p.b.start(append([]string{"name=net0", "in=ab", "out=ba"}, b...)...)
	return p
}

// up gives both their addresses and waits until packets pass both ways.
func (p *pair) up() {
	p.a.t.Helper()
	p.a.Up("net0", addrA+"/24", addrA6+"/64")
	p.b.Up("net0", addrB+"/24", addrB6+"/64")
	p.connected()
	testnet.EventuallyNil(p.a.t, func() error { return errors.Join(p.a.Ready("net0"), p.b.Ready("net0")) })
}

// upQuiet brings both up without any addresses: only the test sends packets.
func (p *pair) upQuiet() {
	p.a.t.Helper()
	for _, h := range []*host{p.a, p.b} {
		h.Quiet()
		h.ip("link set net0 up")
	}
	p.connected()
}

// connected waits until each host follows the other's writer.
func (p *pair) connected() {
	p.a.t.Helper()
	for _, h := range []*host{p.a, p.b} {
		h.awaitShow("net0", "the peer is active", func(s api.Interface) bool {
			return s.Reader != nil && s.Reader.Peer == "active"
		})
	}
}

// peer is a writer of the test at the other end of an in-channel.
type peer struct{ *feed.Writer }

// newPeer opens a channel for writing, until the test ends. It is inactive.
func newPeer(t testing.TB, channels, name string) *peer {
	t.Helper()
	r, err := region.Open(channels, name, region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	return &peer{feed.New(t, r.Bytes())}
}

// start begins an epoch.
func (p *peer) start(protocol uint64, size int) {
	p.Begin(protocol, size)
	p.Ring()
}

// send writes one packet of this format and mark.
func (p *peer) send(f element.Format, packet []byte, mark uint32) {
	p.Put(f, packet, mark)
	p.Ring()
}

func (p *peer) ring() { p.Ring() }
