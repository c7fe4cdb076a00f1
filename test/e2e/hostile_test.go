package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// refuses is a siege by one bad header.
func refuses(t *testing.T, words map[int]uint64, reason string) {
	t.Helper()
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		s.header(words)
		s.refused(reason)
		// It is not a terminal state, and no writing changes it.
		s.p.store(shmstream.WSCOffset, 5)
		s.p.store(shmstream.WCOffset, 5)
		s.refused(reason)
	})
}

func TestHostileElementsZero(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.ElementsOffset: 0}, "elements is 0")
}

func TestHostileElements32Bit(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.ElementsOffset: 1 << 32}, "elements is 4294967296")
}

func TestHostileElementsBeyondTheRegion(t *testing.T) {
	// One more than the region holds.
	refuses(t, map[int]uint64{shmstream.ElementsOffset: (1<<20-64)/1508 + 1}, "in a region of 1048576 bytes")
}

func TestHostileProductOverflows(t *testing.T) {
	// 2^20 * 2^44 = 2^64, which is 0 in 64 bits.
	refuses(t, map[int]uint64{shmstream.SizeOffset: 1 << 20, shmstream.ElementsOffset: 1 << 44}, "elements is")
}

func TestHostileSizeAboveTheLimit(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.SizeOffset: 1<<20 + 1, shmstream.ElementsOffset: 1}, "size is 1048577 bytes")
}

func TestHostileSizeZero(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.SizeOffset: 0}, "size is 0 bytes")
}

// An element for an MTU of 0 holds a header and no packet.
func TestHostileMTUZero(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.SizeOffset: 8}, "size is 8 bytes")
}

func TestHostileTransport(t *testing.T) {
	refuses(t, map[int]uint64{shmstream.TransportOffset: 1}, "transport is not 0x487312b6b79a9b6d: not a channel")
}

func TestHostileRegionTooSmall(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "good"))
	h.Quiet()
	for name, size := range map[string]int64{"tiny": 64 - 1, "header": 64, "short": 64 + 1507, "fits": 64 + 1508} {
		path := filepath.Join(h.channels, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.start("name=net0", "out=good", "writer_protocol=12")
	for _, c := range []struct{ parameter, protocol, channel, want string }{
		{"out", "writer_protocol", "tiny", "63 bytes are too small"},
		{"out", "writer_protocol", "header", "holds no element of 1508 bytes"},
		{"out", "writer_protocol", "short", "holds no element of 1508 bytes"},
	} {
		r := h.muennet("load", "name=net1", c.parameter+"="+c.channel, c.protocol+"=12", "flags=net_hdr")
		if r.code != 1 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s=%s: exit code %d, %q; want %s", c.parameter, c.channel, r.code, r.stderr, c.want)
		}
	}
	h.load("name=net1", "out=fits", "writer_protocol=12", "flags=net_hdr")
	// To read, it may grow yet.
	h.load("name=net3", "in=tiny", "reader_protocol=12", "flags=net_hdr")
	if r := h.show("net3").Reader; !strings.Contains(r.Error, "63 bytes are too small") {
		t.Errorf("in=tiny: %+v", r)
	}
	// To read it is only too small once a writer claims otherwise.
	h.load("name=net2", "in=header", "reader_protocol=12", "flags=net_hdr")
	h.ip("link set net2 up")
	p := &siege{t: t, h: h, p: &foreign{t: t, region: mapChannel(t, h.channels, "header")}}
	for offset, value := range map[int]uint64{shmstream.TransportOffset: shmstream.Transport, shmstream.ProtocolOffset: 0x12,
		shmstream.SizeOffset: 1508, shmstream.ElementsOffset: 1, shmstream.WSCOffset: 1, shmstream.WCOffset: 1} {
		p.p.store(offset, value)
	}
	p.p.store(shmstream.EpochOffset, 1)
	h.awaitShow("net2", "refusal", func(s api.Interface) bool {
		return s.Reader.Peer == "incompatible" && strings.Contains(s.Reader.Reason, "in a region of 64 bytes")
	})
}

func TestHostileEthernetLength(t *testing.T) {
	besieged(t, "eth_dev", element.EthDev, func(s *siege) {
		frame := make([]byte, element.EthDev.Size(1500))
		for _, length := range []uint16{65535, 1515, 13, 0} {
			binary.LittleEndian.PutUint16(frame[len(frame)-2:], length)
			s.drops("bad_length", frame)
		}
	})
}

func TestHostileIPLength(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		four := make([]byte, element.NetHdr.Size(1500))
		four[6] = 4
		copy(four[8:], serial(element.NetHdr, 0, 100))
		for _, length := range []uint16{65535, 1501, 19, 0} {
			binary.BigEndian.PutUint16(four[8+2:], length)
			s.drops("bad_length", four)
		}
		six := make([]byte, element.NetHdr.Size(1500))
		six[6], six[8] = 41, 0x60
		for _, length := range []uint16{65535, 1461} {
			binary.BigEndian.PutUint16(six[8+4:], length)
			s.drops("bad_length", six)
		}
		six[6] = 4
		s.drops("bad_version", six)
		six[6] = 255
		s.drops("bad_protocol", six)
	})
}

// RC > WC in an unchanged epoch: nothing is delivered until the counters make
// sense again.
func TestHostileCounterGoesBack(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		before := s.h.show("net0").Reader.ProtocolErrors
		s.p.store(shmstream.WSCOffset, 1000)
		s.p.store(shmstream.WCOffset, 0)
		s.refused("WC went back")
		if got := s.h.show("net0").Reader.ProtocolErrors; got != before+1 {
			s.t.Errorf("%d protocol errors, want %d", got, before+1)
		}
		epoch := s.h.show("net0").Reader.Epoch
		want := serial(element.NetHdr, 1<<41, 100)
		s.p.send(want) // the writer goes on, and stores both counters
		for {
			got, err := s.socket.Recv(patience)
			if err != nil {
				s.t.Fatalf("nothing is delivered any more: %v", err)
			}
			if bytes.Equal(got, want) {
				break
			}
		}
		if got := s.h.show("net0").Reader.Epoch; got != epoch {
			s.t.Errorf("epoch %s after %s", got, epoch)
		}
	})
}

func TestHostileCountersGoWild(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		s.attack(func(r *rand.Rand) {
			offset := []int{shmstream.WCOffset, shmstream.WSCOffset}[r.IntN(2)]
			s.p.store(offset, wild(r))
			if r.IntN(100) == 0 {
				s.p.start()
			}
		})
	})
}

func TestHostileHeaderChangesAllTheTime(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		good := map[int]uint64{shmstream.TransportOffset: shmstream.Transport, shmstream.ProtocolOffset: foreignProtocol,
			shmstream.SizeOffset: 1508, shmstream.ElementsOffset: 695}
		s.attack(func(r *rand.Rand) {
			offset := 8 * r.IntN(8)
			value, isGood := good[offset]
			if !isGood || r.IntN(4) == 0 {
				value = wild(r)
			}
			s.p.store(offset, value)
			if r.IntN(50) == 0 { // packets between the lies
				s.p.start()
				s.p.send(serial(element.NetHdr, 7, 100))
			}
		})
	})
}

// Good counters around contents that change while they are read.
func TestHostileData(t *testing.T) {
	for flags, format := range map[string]element.Format{"net_hdr": element.NetHdr, "eth_dev": element.EthDev, "": element.Raw} {
		t.Run(format.String(), func(t *testing.T) {
			besieged(t, flags, format, func(s *siege) {
				s.attack(func(r *rand.Rand) {
					s.p.store(shmstream.HeaderSize+8*r.IntN((len(s.p.region)-shmstream.HeaderSize)/8), r.Uint64())
					if r.IntN(20) == 0 {
						s.p.w.Reserve(1)
						s.p.w.Publish() // whatever is there
					}
				})
			})
		})
	}
}

// The file under the region shrinks: reading it is a SIGBUS. Only that
// interface stops, and it goes on when the file has grown back.
func TestHostileRegionShrinks(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		path := filepath.Join(s.h.channels, "bad")
		for _, size := range []int64{0, 4096, 0} {
			if err := os.Truncate(path, size); err != nil {
				s.t.Fatal(err)
			}
			s.provoke(size)
			s.h.awaitShow("net0", "the fault", func(st api.Interface) bool {
				return st.Up && !st.Reader.Enabled && strings.Contains(st.Reader.Error, "shrank")
			})
			if text := s.h.must("show", "net0"); !strings.Contains(text, "reader is disabled") || !strings.Contains(text, "shrank") {
				s.t.Errorf("show: %s", text)
			}
			if err := os.Truncate(path, 1<<20); err != nil {
				s.t.Fatal(err)
			}
			s.h.awaitShow("net0", "the recovery", func(st api.Interface) bool { return st.Reader.Enabled && st.Reader.Error == "" })
			s.recovers()
		}
	})
}

// provoke has the reader touch what is not there any more.
func (s *siege) provoke(size int64) {
	s.t.Helper()
	if size < 4096 {
		return // its next look does that, though not at once
	}
	// The header is still there and announces elements that are not. We cannot
	// touch them either.
	for offset := range 64 / 8 {
		value := s.p.load(8 * offset)
		if 8*offset == shmstream.WCOffset || 8*offset == shmstream.WSCOffset {
			value += 100
		}
		s.p.store(8*offset, value)
	}
}

// A writer that died half-way through an element, and one that comes back with
// garbage.
func TestHostileWriterDiesHalfWay(t *testing.T) {
	besieged(t, "net_hdr", element.NetHdr, func(s *siege) {
		s.p.w.Reserve(1)
		copy(s.p.w.Slot(0), serial(element.NetHdr, 1, 1000))
		s.recovers() // begins anew without Publish
		s.p.w.Reserve(1)
		garbage := s.p.region[shmstream.HeaderSize:]
		for i := range garbage {
			garbage[i] = byte(i * 7)
		}
	})
}

// The hostile peer of an out-channel is who reads it. It cannot write, but
// where the file's mode lets it, it does.
func TestHostileReaderOverwritesOurChannel(t *testing.T) {
	begin(t)
	h := newSolo(t, "net_hdr")
	asked := startAsking(h)
	p := &foreign{t: t, region: mapChannel(t, h.channels, "out")}
	socket := h.Packet(testnet.PacketConfig{Interface: "net0"})
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 2000 {
		for range 50 {
			p.store(8*r.IntN(len(p.region)/8), r.Uint64())
		}
		// A burst longer than the interface's queue would be cut.
		if i%100 == 0 {
			h.awaitShow("net0", "the packets so far", func(s api.Interface) bool { return s.Stats.TxPackets == uint64(i) })
		}
		if err := socket.Send(serial(element.NetHdr, uint64(i), 100)); err != nil {
			t.Fatal(err)
		}
	}
	h.awaitShow("net0", "all are sent", func(s api.Interface) bool { return s.Stats.TxPackets == 2000 })
	// A new epoch is a good header again.
	h.ip("link set net0 down")
	h.ip("link set net0 up")
	h.awaitShow("net0", "it is up", func(s api.Interface) bool { return s.Up && s.Writer.Enabled })
	if header, err := shmstream.ReadHeader(p.region); err != nil || header.Transport != shmstream.Transport || header.Size != 1508 || header.WC != 0 {
		t.Errorf("%+v, %v", header, err)
	}
	asked.stop(t)
}

func TestHostileOutRegionShrinks(t *testing.T) {
	begin(t)
	h := newSolo(t, "net_hdr")
	path := filepath.Join(h.channels, "out")
	for range 3 {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		socket := h.Packet(testnet.PacketConfig{Interface: "net0"})
		if err := socket.Send(serial(element.NetHdr, 1, 100)); err != nil {
			t.Fatal(err)
		}
		h.awaitShow("net0", "the fault", func(s api.Interface) bool {
			return !s.Writer.Enabled && strings.Contains(s.Writer.Error, "shrank") && s.Reader.Enabled
		})
		if err := os.Truncate(path, 1<<20); err != nil {
			t.Fatal(err)
		}
		h.awaitShow("net0", "the recovery", func(s api.Interface) bool { return s.Writer.Enabled && s.Writer.Error == "" })
		r, err := region.Open(h.channels, "out", region.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := shmstream.NewReader(r.Bytes(), shmstream.Expect{Protocol: foreignProtocol})
		if err != nil {
			t.Fatal(err)
		}
		want := serial(element.NetHdr, 2, 100)
		if err := socket.Send(want); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2048)
		testnet.Eventually(t, "the packet", func() bool { n, result := reader.Read(buf); return result == shmstream.Success && n == 1508 })
		socket.Close()
		if err := r.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
}
