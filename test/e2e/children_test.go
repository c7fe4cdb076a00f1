package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// numbered is an IPv4 packet that carries its mark and a number. No host
// answers its protocol, 253 (RFC 3692).
func numbered(mark uint32, number uint64) []byte {
	p := make([]byte, 20+12, 64)
	p[0], p[3], p[8], p[9] = 0x45, byte(len(p)), 64, 253
	copy(p[12:], []byte{10, 0, 0, 2, 10, 7, 7, 7})
	binary.BigEndian.PutUint32(p[20:], mark)
	binary.BigEndian.PutUint64(p[24:], number)
	return p
}

// arrivals collects what numbered packets arrive on an interface.
type arrivals struct {
	name   string
	socket *testnet.PacketSocket
	check  func(mark uint32, number uint64) error
	done   chan error
	stop   atomic.Bool
}

// startArrivals checks each numbered packet that arrives and counts it in
// total.
func startArrivals(t *testing.T, h *host, name string, total *atomic.Int64, check func(mark uint32, number uint64) error) *arrivals {
	t.Helper()
	a := &arrivals{name: name, socket: h.Packet(testnet.PacketConfig{Interface: name}), check: check, done: make(chan error, 1)}
	go func() { a.done <- a.run(total) }()
	return a
}

func (a *arrivals) run(total *atomic.Int64) (err error) {
	for {
		p, recvErr := a.socket.Recv(20 * time.Millisecond)
		switch {
		case errors.Is(recvErr, unix.ENETDOWN): // said once when it is deleted or down
		case errors.Is(recvErr, os.ErrDeadlineExceeded):
			if a.stop.Load() {
				return err
			}
		case recvErr != nil:
			return errors.Join(err, fmt.Errorf("%s: %w", a.name, recvErr))
		case len(p) != 32 || p[9] != 253:
			err = errors.Join(err, fmt.Errorf("%s: foreign packet %x", a.name, p))
		default:
			mark, number := binary.BigEndian.Uint32(p[20:]), binary.BigEndian.Uint64(p[24:])
			if wrong := a.check(mark, number); wrong != nil && err == nil {
				err = fmt.Errorf("%s: %w", a.name, wrong)
			}
			total.Add(1)
		}
	}
}

// end waits until all that has arrived is checked.
func (a *arrivals) end(t *testing.T) {
	t.Helper()
	a.stop.Store(true)
	if err := <-a.done; err != nil {
		t.Error(err)
	}
}

// stream sends numbered packets with the marks in turn until more is false, so
// few at a time that none is lost, and returns when all have arrived somewhere.
func (l *lone) stream(total *atomic.Int64, marks []uint32, more func(sent int) bool) (sent int) {
	l.t.Helper()
	window := l.in.Elements() / 4
	before := int(total.Load())
	for more(sent) {
		for ahead := sent - (int(total.Load()) - before); ahead < window && more(sent); ahead++ {
			mark := marks[sent%len(marks)]
			p := numbered(mark, uint64(sent))
			l.in.Reserve(1)
			used, _ := element.NetHdr.Encode(l.in.Slot(0), p, mark)
			l.in.Fill(0, used)
			l.in.Publish()
			sent++
		}
		l.in.ring()
		time.Sleep(50 * time.Microsecond)
	}
	testnet.Eventually(l.t, "all packets have arrived", func() bool { return int(total.Load())-before == sent })
	return sent
}

// Each of a million packets arrives where its mark belongs, in order, and
// nowhere else.
func TestMillionPacketsToChildren(t *testing.T) {
	begin(t)
	const packets = 1_000_000
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	owner := map[uint32]string{0: "net0", 5: "net0", 0xfffffffe: "net0"}
	names := []string{"net0"}
	for i, marks := range [][]uint32{{1}, {7, 0x12345678}, {2, 0xffffffff}} {
		name := fmt.Sprint("child", i)
		l.child(name, fmt.Sprintf("10.%d.0.1/24", i+1), marks...)
		names = append(names, name)
		for _, mark := range marks {
			owner[mark] = name
		}
	}
	var total atomic.Int64
	var all []*arrivals
	for _, name := range names {
		last := int64(-1)
		all = append(all, startArrivals(t, l.host, name, &total, func(mark uint32, number uint64) error {
			if owner[mark] != name {
				return fmt.Errorf("packet %d with mark %#x of %s", number, mark, owner[mark])
			}
			if int64(number) <= last {
				return fmt.Errorf("packet %d after packet %d", number, last)
			}
			last = int64(number)
			return nil
		}))
	}
	marks := []uint32{0, 1, 7, 2, 5, 0x12345678, 0xffffffff, 7, 0, 0xfffffffe, 1}
	begun := time.Now()
	l.stream(&total, marks, func(sent int) bool { return sent < packets })
	t.Logf("%d packets in %v", packets, time.Since(begun).Round(time.Millisecond))
	for _, a := range all {
		a.end(t)
	}
	s := l.show("net0")
	sum := s.Stats.RxPackets
	for _, c := range s.Children {
		sum += c.Stats.RxPackets
		if len(c.Drops) > 0 || c.Marking.Unmarked > 0 {
			t.Errorf("%s: drops %v, %d unmarked", c.Name, c.Drops, c.Marking.Unmarked)
		}
	}
	if sum != packets || s.Reader.Overruns > 0 || len(s.Drops) > 0 || s.Marking.Unmarked > 0 {
		t.Errorf("%d packets counted, reader %+v, drops %v, marks %+v", sum, s.Reader, s.Drops, s.Marking)
	}
}

// From the next packet on the parent has what a child gives up, under traffic.
func TestMarksMoveUnderTraffic(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	var total atomic.Int64
	var written atomic.Uint64 // packets, all of mark 7
	var mu sync.Mutex
	where := map[uint64]string{}
	note := func(name string) func(uint32, uint64) error {
		return func(_ uint32, number uint64) error {
			mu.Lock()
			defer mu.Unlock()
			if at, twice := where[number]; twice {
				return fmt.Errorf("packet %d came on %s as well", number, at)
			}
			where[number] = name
			return nil
		}
	}
	parent := startArrivals(t, l.host, "net0", &total, note("net0"))
	defer parent.end(t)

	ended := make(chan bool)
	var quit atomic.Bool
	go func() {
		defer close(ended)
		for n := uint64(0); !quit.Load(); n++ {
			if int(n)-int(total.Load()) < l.in.Elements()/4 {
				l.in.Reserve(1)
				used, _ := element.NetHdr.Encode(l.in.Slot(0), numbered(7, n), 7)
				l.in.Fill(0, used)
				written.Store(n + 1)
				l.in.Publish()
				l.in.ring()
			} else {
				n--
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	defer func() { quit.Store(true); <-ended }()
	// settled checks where what is written from now on arrives.
	settled := func(after, want string) {
		t.Helper()
		from := written.Load() + 1 // the one of now may be anywhere
		testnet.Eventually(t, "some more packets", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return where[from+300] != ""
		})
		mu.Lock()
		defer mu.Unlock()
		for n := from; n <= from+300; n++ {
			if where[n] != want {
				t.Fatalf("after %s packet %d, %d behind it, came on %s, want %s", after, n, n-from, where[n], want)
			}
		}
	}
	settled("the start", "net0")
	for round := range 10 {
		l.must("cfg", "add_child", "net0", "child0")
		l.ip("link set child0 up")
		l.awaitShow("net0", "the child is up", func(s api.Interface) bool { return s.Children[0].Up })
		child := startArrivals(t, l.host, "child0", &total, note("child0"))
		settled("add_child", "net0")
		l.must("cfg", "add_mark", "child0", "7")
		settled("add_mark", "child0")
		if round%2 == 0 {
			l.must("cfg", "del_mark", "child0", "7")
			settled("del_mark", "net0")
			child.end(t)
			l.must("cfg", "del_child", "child0")
		} else {
			l.must("cfg", "del_child", "child0")
			child.end(t)
		}
		settled("del_child", "net0")
	}
}
