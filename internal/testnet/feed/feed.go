// Package feed writes packets into the in-channel of an interface, as its peer
// does. It is for tests only; a Writer is for one goroutine.
package feed

import (
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/shmstream"
)

// Writer writes a channel. It never rings of its own accord.
type Writer struct {
	*shmstream.Writer
	t      testing.TB
	region []byte
}

// New returns a writer for a channel, which stays as it is until Begin.
func New(t testing.TB, region []byte) *Writer {
	t.Helper()
	w, err := shmstream.NewWriter(region)
	if err != nil {
		t.Fatal(err)
	}
	return &Writer{w, t, region}
}

// Begin begins an epoch with elements of size bytes.
func (w *Writer) Begin(protocol uint64, size int) {
	w.t.Helper()
	if err := w.Start(shmstream.WriterConfig{Protocol: protocol, Size: size}); err != nil {
		w.t.Fatal(err)
	}
}

// Put writes one packet of this format and mark. It overwrites the oldest one
// if the ring is full.
func (w *Writer) Put(f element.Format, packet []byte, mark uint32) {
	w.t.Helper()
	if fault := f.Check(w.Size(), packet); fault != element.OK {
		w.t.Fatalf("encode packet of %d bytes: %v", len(packet), fault)
	}
	w.Reserve(1)
	used, _ := f.Encode(w.Slot(0), packet, mark)
	w.Fill(0, used)
	w.Publish()
}

// Ring wakes a reader that sleeps.
func (w *Writer) Ring() { Ring(w.region) }

// Ring wakes a reader of the channel that sleeps.
func Ring(region []byte) {
	wc, epoch := doorbell.Words(region)
	doorbell.Ring(wc)
	doorbell.Ring(epoch)
}
