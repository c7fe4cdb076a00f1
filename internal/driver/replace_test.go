package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// create makes a channel of 64 KiB, as newLab does.
func (l *lab) create(channel string) {
	l.t.Helper()
	must(l.t, region.Create(l.dir, channel, 64<<10, region.DefaultMode))
}

// replace puts another file in the place of a channel's.
func (l *lab) replace(channel string) {
	l.t.Helper()
	must(l.t, os.Remove(filepath.Join(l.dir, channel)))
	l.create(channel)
}

// sent lets an interface send a packet, and expects it in the file that the
// out-channel's name refers to now.
func (l *lab) sent(d *Driver, number uint32) {
	l.t.Helper()
	next := l.reader("b")
	testnet.Eventually(l.t, "packet in the out-channel", func() bool {
		l.send("net0", packet(number))
		for {
			got, result := next()
			if result != shmstream.Success && result != shmstream.EpochChanged {
				return false
			}
			if bytes.Equal(got.Data, packet(number)) {
				return true
			}
		}
	})
}

func TestInFileIsReplaced(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.child(d, "child0", 7)
	l.up(d, "net0")
	before := l.peer("a")
	before.start()
	testnet.Eventually(t, "the peer", func() bool { return status(t, d).Reader.Peer == "active" })
	l.expect(d, before, []uint32{7, 0}, map[string]uint64{"": 1, "child0": 1})
	epochs := status(t, d).Reader.Epochs

	for n := uint64(1); n <= 2; n++ {
		l.replace("a") // its former writer is still active, and knows nothing of it
		testnet.Eventually(t, "takeover", func() bool { return status(t, d).Reader.Replaced == n })
		p := l.peer("a")
		p.start()
		testnet.Eventually(t, "the peer", func() bool { return status(t, d).Reader.Peer == "active" })
		l.expect(d, p, []uint32{7, 0, 7, 8}, map[string]uint64{"": 2, "child0": 2})
		s := status(t, d).Reader
		if s.Epochs <= epochs || s.File+s.Error != "" || !s.Enabled {
			t.Errorf("%d epochs before, now %+v", epochs, s)
		}
		epochs = s.Epochs
	}
	if w := status(t, d).Writer; w.Replaced != 0 || !w.Enabled {
		t.Errorf("the other direction: %+v", w)
	}
	// While the interface is down, too.
	l.down(d, "net0")
	l.replace("a")
	testnet.Eventually(t, "takeover", func() bool { return status(t, d).Reader.Replaced == 3 })
	p := l.peer("a")
	p.start()
	l.up(d, "net0")
	testnet.Eventually(t, "the peer", func() bool { return status(t, d).Reader.Peer == "active" })
	l.expect(d, p, []uint32{7, 0}, map[string]uint64{"": 1, "child0": 1})
}

func TestOutFileIsReplaced(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	l.sent(d, 1)
	old, err := region.Open(l.dir, "b", region.ReadOnly)
	must(t, err)
	defer old.Close()
	packets := status(t, d).Stats.TxPackets

	// Another writer is faster.
	must(t, os.Remove(filepath.Join(l.dir, "b")))
	l.create("b")
	other, err := region.Open(l.dir, "b", region.ReadWrite)
	must(t, err)
	must(t, other.Lock())
	testnet.Eventually(t, "holder of the lock", func() bool {
		s := status(t, d).Writer
		return strings.Contains(s.File, "replaced") && strings.Contains(s.File, "another writer holds it")
	})
	if h, _ := shmstream.ReadHeader(old.Bytes()); h.Epoch == 0 {
		t.Error("the old file is given up before the new one can be used")
	}
	must(t, other.Close())
	testnet.Eventually(t, "takeover", func() bool { s := status(t, d).Writer; return s.Replaced == 1 && s.File == "" && s.Enabled })
	if h, _ := shmstream.ReadHeader(old.Bytes()); h.Epoch != 0 {
		t.Errorf("readers of the old file are not told: %+v", h)
	}
	if old.WriterLocked() {
		t.Error("the old file is still locked")
	}
	l.sent(d, 2)
	if now := status(t, d).Stats.TxPackets; now <= packets {
		t.Errorf("%d packets sent, %d before", now, packets)
	}
	if n := l.log.count("channel goes on"); n != 1 && n != 2 { // without and with the other writer's pid
		t.Errorf("%d lines about one replaced file", n)
	}
	if _, err := l.load(d, Interface{Name: "net1", Format: netHdr("").Format, Out: "b", WriterProtocol: testProtocol}); err == nil {
		t.Error("two writers of one channel")
	}
}

// The directory goes and comes back. Peers that have the old files mapped are
// served until then.
func TestDirectoryGoes(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	p := l.peer("a")
	p.start()
	l.arrives(p, socket, 1)

	must(t, os.Remove(filepath.Join(l.dir, "a")))
	testnet.Eventually(t, "the missing file", func() bool { return status(t, d).Reader.File == "its file was removed" })
	must(t, os.RemoveAll(l.dir))
	testnet.Eventually(t, "the missing directory", func() bool {
		s := status(t, d)
		return strings.Contains(s.Reader.File, "its directory is gone") && strings.Contains(s.Writer.File, "its directory is gone")
	})
	if s := status(t, d); !s.Reader.Enabled || !s.Writer.Enabled {
		t.Errorf("stopped although all memory is there: %+v %+v", s.Reader, s.Writer)
	}
	l.arrives(p, socket, 2)

	must(t, os.Mkdir(l.dir, 0o755))
	l.create("a")
	l.create("b")
	testnet.Eventually(t, "takeover", func() bool { s := status(t, d); return s.Reader.Replaced == 1 && s.Writer.Replaced == 1 })
	p = l.peer("a")
	p.start()
	l.arrives(p, socket, 3)
	l.sent(d, 4)
	if s := status(t, d); s.Reader.File+s.Writer.File != "" {
		t.Errorf("%q, %q", s.Reader.File, s.Writer.File)
	}
}

// The driver waits for a new file to become a channel.
func TestNewFileIsTooSmall(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	for _, channel := range []string{"a", "b"} {
		truncate(t, filepath.Join(l.dir, channel), 0)
	}
	if _, err := l.load(d, netHdr("net0")); err == nil {
		t.Fatal("an out-channel without room for an element is loaded")
	}
	truncate(t, filepath.Join(l.dir, "b"), 64<<10)
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	if r := status(t, d).Reader; r.Enabled || !strings.Contains(r.Error, "too small") || r.Region != filepath.Join(l.dir, "a") {
		t.Errorf("a file of 0 bytes: %+v", r)
	}
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	for n, size := range []int64{64 << 10, 128 << 10} { // the second time it grows
		truncate(t, filepath.Join(l.dir, "a"), size)
		testnet.Eventually(t, "all of the file", func() bool {
			r := status(t, d).Reader
			return r.Enabled && r.Error == "" && int64(r.RegionSize) == size
		})
		p := l.peer("a")
		p.start()
		l.arrives(p, socket, uint32(n))
	}
	// Replaced by files that cannot be used yet.
	for _, channel := range []string{"a", "b"} {
		path := filepath.Join(l.dir, channel)
		must(t, os.Remove(path))
		must(t, os.WriteFile(path, nil, 0o600))
	}
	testnet.Eventually(t, "why not", func() bool {
		s := status(t, d)
		return strings.Contains(s.Reader.File, "replaced") && strings.Contains(s.Reader.File, "too small") && strings.Contains(s.Writer.File, "replaced")
	})
	for _, channel := range []string{"a", "b"} {
		truncate(t, filepath.Join(l.dir, channel), 64<<10)
	}
	testnet.Eventually(t, "takeover", func() bool { s := status(t, d); return s.Reader.File+s.Writer.File == "" })
	p := l.peer("a")
	p.start()
	l.arrives(p, socket, 9)
	l.sent(d, 10)
}

// The old table of path MTUs stays in use, and the status says so.
func TestPMTUFileIsReplaced(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	i := netHdr("net0")
	i.PMTU = "c"
	l.mustLoad(d, i)
	must(t, os.Remove(filepath.Join(l.dir, "c")))
	testnet.Eventually(t, "the missing file", func() bool { return status(t, d).PMTUFile == "its file was removed" })
	l.create("c")
	testnet.Eventually(t, "the other file", func() bool { return status(t, d).PMTUFile == "its file was replaced" })
}
