package datapath

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// fileSender is a Sender on a file that can be truncated.
type fileSender struct {
	*Sender
	t      *testing.T
	path   string
	memory []byte
	faults atomic.Int64
}

func newFileSender(t *testing.T) *fileSender {
	t.Helper()
	dir := t.TempDir()
	if err := region.Create(dir, "out", 1<<20, region.DefaultMode); err != nil {
		t.Fatal(err)
	}
	r, err := region.Open(dir, "out", region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f := &fileSender{t: t, path: filepath.Join(dir, "out"), memory: r.Bytes()}
	f.Sender, err = NewSender(SenderConfig{Region: r.Bytes(), Format: element.NetHdr, Protocol: testProtocol, Log: silent,
		OnFault: func(err error) {
			if !errors.Is(err, region.ErrFault) {
				t.Errorf("fault: %v", err)
			}
			if f.mu.TryLock() {
				f.mu.Unlock()
				t.Error("the lock was free before the writer was stopped")
			}
			f.faults.Add(1)
		}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fileSender) truncate(size int64) {
	f.t.Helper()
	if err := os.Truncate(f.path, size); err != nil {
		f.t.Fatal(err)
	}
}

// works starts the writer and checks that a packet comes through.
func (f *fileSender) works() {
	f.t.Helper()
	if err := f.Start(element.NetHdr.Size(1500)); err != nil {
		f.t.Fatal(err)
	}
	r, err := shmstream.NewReader(f.memory, shmstream.Expect{Protocol: testProtocol})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, result := r.Next(); result != shmstream.EpochChanged {
		f.t.Fatalf("reader: %v", result)
	}
	var count TxCounters
	packet := ip(1000, 7)
	f.send(packet, 0, &count)
	f.flush()
	if got, result := read(f.t, r, element.NetHdr, make([]byte, 2000)); result != shmstream.Success || string(got.Data) != string(packet) {
		f.t.Fatalf("after the fault: %v, counted %+v", result, count)
	}
}

// When the file shrinks while several devices send, by any amount, the Sender
// reports one fault, drops what comes, and works again when the file is whole.
func TestSenderFaults(t *testing.T) {
	f := newFileSender(t)
	for round := range 60 {
		f.works()
		before := f.faults.Load()
		var devices sync.WaitGroup
		var stop atomic.Bool
		counts := make([]TxCounters, 3)
		for i := range counts {
			devices.Go(func() {
				packet := ip(1400, byte(i))
				for n := 0; !stop.Load(); n++ {
					f.send(packet, 0, &counts[i])
					if n%5 == 0 {
						f.pace()
						f.flush()
					}
				}
			})
		}
		testnet.Eventually(t, "all send", func() bool { return f.Status().Written > 10 })
		f.truncate(int64([]int{0, 4096, 8192, 500 << 10}[round%4]))
		testnet.Eventually(t, "the fault is told", func() bool { return f.faults.Load() > before })
		if f.Status().Active {
			t.Error("the writer is active after a fault")
		}
		stop.Store(true)
		devices.Wait()
		if told := f.faults.Load() - before; told != 1 {
			t.Errorf("%d faults reported: another device has sent before the writer was stopped", told)
		}
		var all TxCounters
		for i := range counts {
			all.Dropped += counts[i].Dropped
			all.Reasons[Inactive] += counts[i].Reasons[Inactive]
		}
		if all.Dropped == 0 || all.Dropped != all.Reasons[Inactive] {
			t.Errorf("counted %+v", all)
		}
		f.Stop() // this may fault, too
		f.truncate(1 << 20)
	}
}

// A start that faults leaves the writer inactive. The next one may succeed.
func TestSenderStartFaults(t *testing.T) {
	f := newFileSender(t)
	for _, size := range []int64{0, 4096, 8192} {
		f.works()
		f.truncate(size)
		if err := f.Start(element.NetHdr.Size(1500)); !errors.Is(err, region.ErrFault) || f.Status().Active {
			t.Errorf("start with %d bytes: %v, active %v", size, err, f.Status().Active)
		}
		f.truncate(1 << 20)
	}
	f.works()
}

// The next burst, or Mend, repairs a header that another process overwrote:
// readers follow a new epoch.
func TestSenderMends(t *testing.T) {
	for _, offset := range []int{shmstream.TransportOffset, shmstream.EpochOffset, shmstream.ProtocolOffset, shmstream.SizeOffset,
		shmstream.ElementsOffset, shmstream.WSCOffset, shmstream.WCOffset} {
		for _, mend := range []bool{false, true} {
			memory := mmapRegion(t, 1<<20)
			s := startSender(t, memory, element.NetHdr, 1500)
			var count TxCounters
			s.send(ip(1000, 1), 0, &count)
			s.flush()
			epoch := s.Status().Epoch
			s.Mend() // nothing is wrong
			if s.Status().Epoch != epoch {
				t.Fatal("mended an intact header")
			}
			memory[offset]++
			if mend {
				s.Mend()
			}
			r, err := shmstream.NewReader(memory, shmstream.Expect{Protocol: testProtocol})
			if err != nil {
				t.Fatal(err)
			}
			r.Next()
			s.send(ip(1000, 2), 0, &count)
			s.flush()
			if got := s.Status(); got.Epoch == epoch || got.Written != 1 {
				t.Errorf("word at %d, by Mend %v: %+v", offset, mend, got)
			}
			buf := make([]byte, 2000)
			got, result := read(t, r, element.NetHdr, buf)
			if result == shmstream.EpochChanged {
				got, result = read(t, r, element.NetHdr, buf)
			}
			if result != shmstream.Success || string(got.Data) != string(ip(1000, 2)) {
				t.Errorf("word at %d: %v", offset, result)
			}
		}
	}
}
