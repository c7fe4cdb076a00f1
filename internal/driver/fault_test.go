package driver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// sparseLab is a lab whose channels are files of 64 KiB without memory, in a
// file system of 1 MiB.
func sparseLab(t *testing.T) (*lab, *testnet.TmpFS) {
	l := newLab(t)
	f := testnet.NewTmpFS(t, 1<<20)
	l.dir = f.Dir
	for _, name := range []string{"a", "b"} {
		path := filepath.Join(l.dir, name)
		must(t, errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 64<<10)))
	}
	return l, f
}

const noMemory = "no memory left in the file system of "

// There is no memory for the out-channel: the status says so, and the interface
// works once there is.
func TestLoadInFullFileSystem(t *testing.T) {
	l, f := sparseLab(t)
	empty := f.Fill()
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	if e := status(t, d).Writer.Error; e != noMemory+filepath.Join(l.dir, "b") {
		t.Errorf("after the load: %q", e)
	}
	l.up(d, "net0")
	testnet.Eventually(t, "the reader's end", func() bool { return strings.HasPrefix(status(t, d).Reader.Error, noMemory) })
	testnet.Eventually(t, "another try", func() bool { // of the patrol, in vain
		p := d.parents[0]
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.out.restoring.pause > firstRetry
	})
	if s := status(t, d); s.Writer.Enabled || s.Reader.Enabled || s.Writer.Epoch != "0x0" {
		t.Errorf("without memory: %+v, %+v", s.Writer, s.Reader)
	}
	empty()
	testnet.Eventually(t, "recovery", func() bool { s := status(t, d); return s.Writer.Enabled && s.Reader.Enabled })
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	p := l.peer("a")
	p.start()
	l.arrives(p, socket, 1)
	l.sent(d, 2)
	for _, line := range []string{"channel stopped", "channel's memory is back"} {
		if n := l.log.count(line); n != 2 {
			t.Errorf("%d times %q for two directions", n, line)
		}
	}
}

// The out-channel loses memory, and a full file system gives it no other.
func TestHolesInFullFileSystem(t *testing.T) {
	l, f := sparseLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	l.sent(d, 1)
	path := filepath.Join(l.dir, "b")
	testnet.PunchHole(t, path, 64<<10)
	empty := f.Fill()
	l.send("net0", packet(2))
	testnet.Eventually(t, "fault", func() bool { return status(t, d).Writer.Error == noMemory+path })
	empty()
	testnet.Eventually(t, "recovery", func() bool { return status(t, d).Writer.Enabled })
	l.sent(d, 3)
}

// A channel that shrinks is noticed although nothing accesses the lost part.
func TestShrinkingIsNoticed(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0")) // and stays down
	for _, name := range []string{"a", "b"} {
		truncate(t, filepath.Join(l.dir, name), 4096)
	}
	testnet.Eventually(t, "why", func() bool {
		s := status(t, d)
		return strings.Contains(s.Reader.Error, "shrank: it has 4096 bytes, 65536 are in use") && strings.Contains(s.Writer.Error, "shrank")
	})
	for _, name := range []string{"a", "b"} {
		truncate(t, filepath.Join(l.dir, name), 64<<10)
	}
	testnet.Eventually(t, "recovery", func() bool { s := status(t, d); return s.Reader.Error+s.Writer.Error == "" })
	l.up(d, "net0")
	l.sent(d, 1)
}

// The patrol repairs the header of a channel that something has written into,
// even if nothing is sent.
func TestIdleWriterMendsItsHeader(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	before := l.header("b")
	f, err := os.OpenFile(filepath.Join(l.dir, "b"), os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{1, 2, 3, 4, 5, 6, 7, 8}, shmstream.WCOffset)
	must(t, err)
	testnet.Eventually(t, "a new epoch", func() bool {
		checkAll(d.parents)
		h := l.header("b")
		return h.Epoch != before.Epoch && h.Epoch != 0 && h.WC == 0
	})
	l.sent(d, 1)
}
