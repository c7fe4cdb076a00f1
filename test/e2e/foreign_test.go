package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/feed"
)

// foreignProtocol is the protocol id of the channels that a peer writes or
// reads.
const foreignProtocol = 0x12

// mapChannel maps a channel writable until the test ends, without its writer's
// lock: a peer that knows nothing of muennet.
func mapChannel(t *testing.T, dir, name string) []byte {
	t.Helper()
	r, err := region.Open(dir, name, region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.Bytes()
}

// foreign is a program at the other end of an in-channel that knows nothing of
// muennet: it takes no lock and may do anything to the header.
type foreign struct {
	t      *testing.T
	region []byte
	format element.Format
	w      *feed.Writer
}

func newForeign(t *testing.T, dir, channel string, format element.Format) *foreign {
	t.Helper()
	b := mapChannel(t, dir, channel)
	return &foreign{t, b, format, feed.New(t, b)}
}

// start begins an epoch with elements for an MTU of 1500.
func (p *foreign) start() { p.w.Begin(foreignProtocol, p.format.Size(1500)) }

// send writes a packet and rings.
func (p *foreign) send(packet []byte) {
	p.w.Put(p.format, packet, 0)
	p.ring()
}

// ring wakes a reader that sleeps.
func (p *foreign) ring() { feed.Ring(p.region) }

// store writes a word of the header as a peer without manners would.
func (p *foreign) store(offset int, value uint64) { atomic.StoreUint64(p.word(offset), value) }

func (p *foreign) load(offset int) uint64 { return atomic.LoadUint64(p.word(offset)) }

func (p *foreign) word(offset int) *uint64 { return (*uint64)(unsafe.Pointer(&p.region[offset])) }

// recovers restarts the writer and waits until its packets arrive at the
// socket: whatever the peer did before, it is followed again.
func (p *foreign) recovers(socket *testnet.PacketSocket, number uint64) {
	p.t.Helper()
	n := 100
	if p.format == element.Raw {
		n = 1500 // or it would arrive with padding
	}
	want := serial(p.format, number, n)
	testnet.Eventually(p.t, "packets of the peer that behaves again", func() bool {
		p.start()
		p.send(want)
		for {
			got, err := socket.Recv(time.Second)
			if err != nil || bytes.Equal(got, want) {
				return err == nil
			}
		}
	})
}

// serial is a packet of n bytes that carries a number: IPv4 of protocol 253
// (RFC 3692), or an Ethernet frame of type 0x88b5 (IEEE 802, for experiments).
func serial(format element.Format, number uint64, n int) []byte {
	p := make([]byte, n)
	begin := 20
	if format == element.EthDev {
		begin = 14
		copy(p, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5})
	} else {
		p[0], p[8], p[9] = 0x45, 64, 253
		binary.BigEndian.PutUint16(p[2:], uint16(n))
		copy(p[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	}
	binary.BigEndian.PutUint64(p[begin:], number)
	copy(p[begin+8:], content(int(number), n-begin-8))
	return p
}

// serialOf is the number of such a packet.
func serialOf(format element.Format, p []byte) (number uint64, ok bool) {
	begin := 20
	if format == element.EthDev {
		begin = 14
	}
	if len(p) < begin+8 {
		return 0, false
	}
	number = binary.BigEndian.Uint64(p[begin:])
	return number, bytes.Equal(p, serial(format, number, len(p)))
}

// counted sends numbered packets through a peer's channel and takes them from a
// packet socket, in the background, until it is stopped. None may be missing.
type counted struct {
	stopping chan struct{}
	done     chan error
	carried  atomic.Uint64
}

func startCounted(p *foreign, socket *testnet.PacketSocket) *counted {
	c := &counted{stopping: make(chan struct{}), done: make(chan error, 1)}
	go func() { c.done <- c.run(p, socket) }()
	return c
}

func (c *counted) run(p *foreign, socket *testnet.PacketSocket) error {
	const window = 16
	for number := uint64(0); ; number += window {
		select {
		case <-c.stopping:
			return nil
		default:
		}
		for i := range uint64(window) {
			p.send(serial(p.format, number+i, 1000))
		}
		for i := range uint64(window) {
			got, err := socket.Recv(patience)
			if err != nil {
				return fmt.Errorf("packet %d is lost: %w", number+i, err)
			}
			if n, ok := serialOf(p.format, got); !ok || n != number+i {
				return fmt.Errorf("packet %d arrived as %x", number+i, got)
			}
			c.carried.Add(1)
		}
	}
}

// stop ends the traffic and fails the test unless all of it arrived.
func (c *counted) stop(t *testing.T) {
	t.Helper()
	close(c.stopping)
	if err := <-c.done; err != nil {
		t.Error(err)
	}
	if c.carried.Load() == 0 {
		t.Error("no counted traffic")
	}
}
