package datapath

import (
	"sync"

	"github.com/muennet/muennet/internal/offload"
)

// Sink takes what the devices of one interface send: a [Sender] writes it into
// the out-channel; a [Discard] drops it, where there is none.
type Sink interface {
	// Start begins a new epoch with elements of size bytes and wakes the readers.
	Start(size int) error
	// Stop makes the channel inactive and wakes the readers.
	Stop()
	// Mend begins a new epoch if something else has written into the header.
	Mend()
	// Rebind writes another region of the same kind of memory from the next Start
	// on. On an error the old region stays in use.
	Rebind(region []byte) error
	// Status returns the present state.
	Status() SenderStatus
	// Close stops the writer. Nothing may be sent afterwards.
	Close()

	// In a burst an Outbound calls revive before the first packet, a send or drop
	// and then pace for each, and flush after the last. count is the device's;
	// counters reads it under the lock that guards it.
	revive()
	send(packet []byte, mark uint32, count *TxCounters)
	sendSegments(segs *offload.Segments, packet []byte, mark uint32, count *TxCounters)
	drop(r Reason, count *TxCounters)
	pace()
	flush()
	counters(count *TxCounters) TxCounters

	// limit is the length of the longest packet to send, in bytes, on a path that
	// takes packets of up to path bytes. 0 is no limit, for path as well.
	limit(path int) int
	// hurry(1) keeps the writer from waiting for its readers, until hurry(-1).
	hurry(by int32)
	// sendsBulk reports whether the last burst was bulk traffic.
	sendsBulk() bool
}

// Discard drops and counts packets, for an interface without an out-channel.
// The zero Discard is ready for use, by any goroutine.
type Discard struct {
	mu sync.Mutex // guards the devices' counters
}

func (d *Discard) Start(int) error      { return nil }
func (d *Discard) Stop()                {}
func (d *Discard) Mend()                {}
func (d *Discard) Rebind([]byte) error  { return nil }
func (d *Discard) Status() SenderStatus { return SenderStatus{} }
func (d *Discard) Close()               {}
func (d *Discard) revive()              {}
func (d *Discard) pace()                {}
func (d *Discard) flush()               {}
func (d *Discard) limit(int) int        { return 0 }
func (d *Discard) hurry(int32)          {}
func (d *Discard) sendsBulk() bool      { return false }

func (d *Discard) send(_ []byte, _ uint32, count *TxCounters) { d.drop(NoChannel, count) }

func (d *Discard) sendSegments(segs *offload.Segments, _ []byte, _ uint32, count *TxCounters) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range segs.Left() {
		count.drop(NoChannel)
	}
}

func (d *Discard) drop(r Reason, count *TxCounters) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count.drop(r)
}

func (d *Discard) counters(count *TxCounters) TxCounters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *count
}
