package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// siege is a daemon with an interface whose peer is hostile, and next to it one
// whose peer is not and which must not notice.
type siege struct {
	t      *testing.T
	h      *host
	p      *foreign // of net0, hostile
	socket *testnet.PacketSocket
	number uint64 // of the last packet that proved a recovery
}

// besieged runs f against net0 with these flags, while net1 carries counted
// traffic and the daemon is asked for its state all the time. In the end net0
// must work.
func besieged(t *testing.T, flags string, format element.Format, f func(*siege)) {
	t.Helper()
	begin(t)
	h := newHost(t, makeChannels(t, "bad", "good", "out"))
	h.Quiet()
	h.start("name=net0,net1", "in=bad,good", "out=,out", "flags="+flags+",net_hdr", "reader_protocol=12,12", "writer_protocol=,12")
	for _, name := range []string{"net0", "net1"} {
		h.ip("link set " + name + " up")
		// What is written before is not for this session.
		h.awaitShow(name, "it is up", func(s api.Interface) bool { return s.Up })
	}
	neighbour := newForeign(t, h.channels, "good", element.NetHdr)
	neighbour.start()
	traffic := startCounted(neighbour, h.Packet(testnet.PacketConfig{Interface: "net1"}))
	asked := startAsking(h)

	s := &siege{t: t, h: h, p: newForeign(t, h.channels, "bad", format), socket: h.Packet(testnet.PacketConfig{Interface: "net0"})}
	s.recovers()
	f(s)
	s.recovers()

	asked.stop(t)
	traffic.stop(t)
	if s := h.show("net1"); s.Stats.RxErrors+s.Stats.RxDropped+s.Reader.Lost+s.Reader.ProtocolErrors != 0 || len(s.Drops) != 0 || s.Reader.Epochs != 1 {
		t.Errorf("the neighbour has noticed: %+v, %+v, drops %v", s.Stats, s.Reader, s.Drops)
	}
	if log := h.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("log of the daemon:\n%s", log)
	}
}

func (s *siege) recovers() {
	s.t.Helper()
	s.number++
	s.p.recovers(s.socket, s.number)
}

// header starts an epoch with these values in place of good ones.
func (s *siege) header(words map[int]uint64) {
	s.t.Helper()
	s.p.start()
	epoch := s.p.load(shmstream.EpochOffset)
	s.p.store(shmstream.EpochOffset, 0)
	for offset, value := range words {
		s.p.store(offset, value)
	}
	s.p.store(shmstream.EpochOffset, epoch+1)
}

// refused waits until the peer is said to be incompatible for this reason.
func (s *siege) refused(reason string) {
	s.t.Helper()
	s.h.awaitShow("net0", "refusal: "+reason, func(st api.Interface) bool {
		return st.Reader.Peer == "incompatible" && strings.Contains(st.Reader.Reason, reason)
	})
}

// asking asks a daemon for its state without a pause.
type asking struct {
	stopping chan struct{}
	done     chan error
	answers  atomic.Int64
}

func startAsking(h *host) *asking {
	a := &asking{stopping: make(chan struct{}), done: make(chan error, 1)}
	c := client.New(h.control)
	go func() {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			_, err := c.Interfaces(ctx)
			cancel()
			if err != nil {
				a.done <- err
				return
			}
			a.answers.Add(1)
			select {
			case <-a.stopping:
				a.done <- nil
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return a
}

func (a *asking) stop(t *testing.T) {
	t.Helper()
	close(a.stopping)
	if err := <-a.done; err != nil {
		t.Errorf("after %d answers the daemon does not answer: %v", a.answers.Load(), err)
	}
}

// drops sends one element as it is; it must be counted under this reason, and
// the next good packet arrive.
func (s *siege) drops(reason string, element []byte) {
	s.t.Helper()
	before := s.h.show("net0")
	s.p.w.Write(element)
	good := serial(s.p.format, 1<<40, 200)
	s.p.send(good)
	for {
		got, err := s.socket.Recv(patience)
		if err != nil {
			s.t.Fatalf("the packet after the bad one is lost: %v", err)
		}
		if n, ok := serialOf(s.p.format, got); !ok {
			s.t.Errorf("%s: delivered %x", reason, got)
		} else if n == 1<<40 {
			break
		}
	}
	after := s.h.show("net0")
	if after.Drops["rx_"+reason] != before.Drops["rx_"+reason]+1 || after.Stats.RxFrameErrors != before.Stats.RxFrameErrors+1 {
		s.t.Errorf("%s: drops %v, frame errors %d; before %v, %d", reason, after.Drops, after.Stats.RxFrameErrors, before.Drops, before.Stats.RxFrameErrors)
	}
}

// attack runs f again and again until enough of the neighbour's traffic and of
// the daemon's answers have passed by it, which takes as long as it takes.
func (s *siege) attack(f func(r *rand.Rand)) {
	s.t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for first, n := s.h.show("net0"), 0; ; n++ {
		for range 1000 {
			f(r)
		}
		s.p.ring()
		if n%20 != 19 {
			continue
		}
		// The reader must have been there to see it.
		now := s.h.show("net0")
		looks := now.Reader.Wakeups + now.Reader.Timeouts - first.Reader.Wakeups - first.Reader.Timeouts
		if n > 1000 && (looks > 50 || now.Reader.Epochs-first.Reader.Epochs > 50 || now.Reader.Lost > first.Reader.Lost+50) {
			return
		}
		if n > 1e6 {
			s.t.Fatalf("the reader does not look: %+v", now.Reader)
		}
	}
}

// wild is a number of the kind that breaks programs.
func wild(r *rand.Rand) uint64 {
	return 1<<r.IntN(64) + uint64(r.IntN(5)) - 2
}
