package shmstream

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
)

// fill fills p with number n; filled reports whether p holds that.
func fill(p []byte, n uint64) {
	for ; len(p) >= 8; p = p[8:] {
		binary.NativeEndian.PutUint64(p, n)
	}
}

func filled(p []byte, n uint64) bool {
	for ; len(p) >= 8; p = p[8:] {
		if binary.NativeEndian.Uint64(p) != n {
			return false
		}
	}
	return true
}

// When the writer waits for the reader, they never access the same byte at the
// same time. So everything arrives, and the race detector, which watches heap
// memory, reports nothing.
func TestConcurrentWithFlowControl(t *testing.T) {
	const elements, size, total = 8, 72, 10000
	region := newRegion(HeaderSize + elements*size)
	w, r := startWriter(t, region, size), newReader(t, region)
	var consumed atomic.Uint64
	go func() {
		p := make([]byte, size)
		for n := uint64(0); n < total; {
			k := int(n%3) + 1
			for n+uint64(k) > consumed.Load()+elements {
				runtime.Gosched()
			}
			w.Reserve(k)
			for i := range k {
				fill(p, n)
				copy(w.Slot(i), p)
				w.Fill(i, size)
				n++
			}
			w.Publish()
		}
	}()
	buf := make([]byte, size)
	for n := uint64(0); n < total; {
		switch _, result := r.Read(buf); result {
		case Success:
			if !filled(buf, n) {
				t.Fatalf("element %d: %x", n, buf)
			}
			n++
			consumed.Store(n)
		case NoData, EpochChanged:
			runtime.Gosched()
		default:
			t.Fatalf("%v at %d: %s", result, n, r.Reason())
		}
	}
	if s := r.Stats(); s != (ReaderStats{EpochChanges: 1}) {
		t.Errorf("%+v", s)
	}
}

// A writer that does not wait, in shared mapped memory as in production: each
// delivered element is whole and the next in order, and the others are counted.
func TestConcurrentOverrun(t *testing.T) {
	const elements, size, total = 4, 1024, 100000
	region, err := syscall.Mmap(-1, 0, HeaderSize+elements*size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(region)
	w, r := startWriter(t, region, size), newReader(t, region)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, size)
		for n := range uint64(total) {
			fill(p, n)
			w.Write(p)
			if n%1024 == 0 {
				runtime.Gosched()
			}
		}
	}()
	defer func() { <-done }() // before the memory is unmapped
	buf := make([]byte, size)
	delivered := uint64(0)
	for r.Position() < total {
		n := r.Position()
		switch _, result := r.Read(buf); result {
		case Success:
			if !filled(buf, n) {
				t.Fatalf("element %d is torn: %x", n, buf)
			}
			delivered++
		case NoData:
			runtime.Gosched()
		case Overrun, EpochChanged:
		default:
			t.Fatalf("%v at %d: %s", result, n, r.Reason())
		}
	}
	s := r.Stats()
	if delivered+s.Lost != total || s.EpochChanges != 1 || s.ProtocolErrors != 0 {
		t.Errorf("%d delivered, %+v, %d written", delivered, s, total)
	}
	t.Logf("%d delivered, %d lost in %d overruns", delivered, s.Lost, s.Overruns)
}

// A writer that restarts all the time: no element of one session is delivered
// in another.
func TestConcurrentRestarts(t *testing.T) {
	const size, restarts = 256, 3000
	region, err := syscall.Mmap(-1, 0, HeaderSize+4*size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(region)
	w, r := newWriter(t, region), newReader(t, region)
	stop := make(chan error, 1)
	go func() {
		p := make([]byte, size)
		for i := range uint64(restarts) {
			cfg := WriterConfig{Protocol: testProtocol, Size: size >> (i % 2), Epoch: Epoch(i + 1)}
			if err := w.Start(cfg); err != nil {
				stop <- err
				return
			}
			for n := range uint64(6) {
				fill(p, (i+1)<<8|n)
				w.Write(p[:w.Size()])
			}
			if i%16 == 0 {
				runtime.Gosched()
			}
		}
		stop <- nil
	}()
	buf := make([]byte, size)
	for {
		epoch, rc := uint64(r.Epoch()), r.Position()
		n, result := r.Read(buf)
		switch {
		case result == Incompatible:
			t.Errorf("a correct writer is reported incompatible: %s", r.Reason())
		case result == Success && (n != size>>((epoch-1)%2) || !filled(buf[:n], epoch<<8|rc)):
			t.Errorf("epoch %d, element %d: %d bytes, %x", epoch, rc, n, buf[:n])
		case result == NoData && epoch == restarts && rc == 6:
			if err := <-stop; err != nil {
				t.Error(err)
			}
			return
		}
		if t.Failed() {
			<-stop // before the memory is unmapped
			return
		}
		if result != Success {
			runtime.Gosched()
		}
	}
}
