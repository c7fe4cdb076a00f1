package datapath

import (
	"fmt"
	"time"

	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/shmstream"
)

// Rebind has the Sender write another region, mapped writable, of the same kind
// of memory. It stops the writer of the old region; that of the new one is
// inactive until Start. The counters go on. After Rebind nothing touches the
// old region, or, on an error, all is as before.
func (s *Sender) Rebind(channel []byte) error {
	w, err := shmstream.NewWriter(channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halt()
	s.cfg.Region, s.w = channel, w
	s.bell.Rebind(channel)
	return nil
}

// inboundTotals are what an Inbound counts from 0 in each region.
type inboundTotals struct {
	reader            shmstream.ReaderStats
	wakeups, timeouts uint64
}

// totals counts over all regions so far. The caller holds the lock.
func (in *Inbound) totals() inboundTotals {
	t, r := in.before, in.r.Stats()
	t.reader.Overruns += r.Overruns
	t.reader.Lost += r.Lost
	t.reader.ProtocolErrors += r.ProtocolErrors
	t.reader.EpochChanges += r.EpochChanges
	t.wakeups += in.listener.Wakeups()
	t.timeouts += in.listener.Timeouts()
	return t
}

// Rebind has a paused Inbound read another region from the next Resume on. Run
// must be running. memory and locked are those of InboundConfig. Counters and
// routes go on. After Rebind nothing touches the old region, or, on an error,
// all is as before.
func (in *Inbound) Rebind(channel []byte, memory doorbell.Memory, locked func() bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	// Pause ends a sleep in the old region but does not wait for its end.
	for in.want == pause && !in.parked {
		in.change.Wait()
	}
	if in.want != pause {
		return fmt.Errorf("read another region: the forwarder is not paused")
	}
	r, err := shmstream.NewReader(channel, shmstream.Expect{Protocol: in.cfg.Protocol, MinSize: in.cfg.Format.MinSize()})
	if err != nil {
		return err
	}
	listener, err := newListener(channel, memory, in.cfg.Poll, locked)
	if err != nil {
		return err
	}
	in.before = in.totals()
	in.listener.Close()
	in.cfg.Region, in.cfg.Memory, in.cfg.Locked = channel, memory, locked
	in.r, in.listener = r, listener
	return nil
}

// newListener returns a Listener for the writer of a channel.
func newListener(channel []byte, memory doorbell.Memory, poll time.Duration, locked func() bool) (*doorbell.Listener, error) {
	wc, epoch := doorbell.Words(channel)
	l, err := doorbell.NewListener(doorbell.Config{WC: wc, Epoch: epoch, Memory: memory, Poll: poll, Locked: locked})
	if err != nil {
		return nil, fmt.Errorf("listen to the writer: %w", err)
	}
	return l, nil
}
