package datapath

import (
	"log/slog"
	"sync"
	"time"

	"github.com/muennet/muennet/internal/shortage"
)

// OutgoingMarks gives each mark a queue of its own: skbmark.Outgoing, or a
// test. It has a slot for each queue. A slot is free, open (packets of its mark
// enter the queue) or closed (no packet enters any more).
type OutgoingMarks interface {
	// SetQueues sets how many queues are attached.
	SetQueues(n int)
	// Mark returns the mark of the packets in a queue.
	Mark(queue int) uint32
	// Free returns how many slots of attached queues are free.
	Free() int
	// Retire closes the slots that were idle since the last call and returns their
	// queues.
	Retire() []int
	// Grace waits until what has passed the check of its mark is in its queue.
	Grace() error
	// Release frees a closed slot whose queue has been read empty.
	Release(queue int)
}

// QueueDevice is what Marks needs of a device.
type QueueDevice interface {
	Queues() int
	AddQueues(n int) error
	Holds(queue int) bool
}

// How many queues a device has, and how many slots stay free for new marks.
// Mark 0 needs a queue, too.
const (
	firstQueues = 16  // at first
	maxQueues   = 256 // of a TUN device
	spareSlots  = 8   // fewer than this, or than a quarter, are free: attach more queues
	lowSlots    = 128 // fewer than this are free: take back idle ones
)

// Marks finds queues for the marks of one device that are in use.
type Marks struct {
	out OutgoingMarks
	dev QueueDevice
	log *slog.Logger

	// reading is held from before a packet is read until its mark has been looked
	// up. Slots are released under it: otherwise the mark could be another
	// packet's.
	reading sync.Mutex
	used    bool      // the burst has read a queue of a mark
	full    bool      // no more queues can be attached
	retry   time.Time // when to try to attach more all the same; zero: never

	sweeping sync.WaitGroup
	sweep    sync.Mutex // held by the present sweep
	closed   []int      // queues that sweeps have retired and not released yet
	quit     chan struct{}
}

// NewMarks attaches the first queues to dev.
func NewMarks(out OutgoingMarks, dev QueueDevice, log *slog.Logger) (*Marks, error) {
	if err := dev.AddQueues(firstQueues - dev.Queues()); err != nil {
		return nil, err
	}
	out.SetQueues(dev.Queues())
	return &Marks{out: out, dev: dev, log: log, quit: make(chan struct{})}, nil
}

// begin begins a burst.
func (m *Marks) begin() {
	m.reading.Lock()
	m.used = false
}

// of returns the mark of a packet that was read from a queue.
func (m *Marks) of(queue int) uint32 {
	m.used = true
	return m.out.Mark(queue)
}

// end ends a burst and provides free slots for the next new marks.
func (m *Marks) end() {
	used := m.used
	m.reading.Unlock()
	if !used {
		return
	}
	free := m.out.Free()
	if m.full && !m.retry.IsZero() && time.Now().After(m.retry) {
		m.full, m.retry = false, time.Time{}
	}
	if !m.full && free < max(spareSlots, m.dev.Queues()/4) {
		m.grow()
		free = m.out.Free()
	}
	if free < lowSlots && m.full && m.sweep.TryLock() {
		m.sweeping.Go(func() {
			defer m.sweep.Unlock()
			m.takeBack()
		})
	}
}

// grow doubles the queues.
func (m *Marks) grow() {
	n := m.dev.Queues()
	err := m.dev.AddQueues(min(n, maxQueues-n))
	m.out.SetQueues(m.dev.Queues())
	if err != nil {
		m.log.Warn("no more queues can be attached: fewer marks fit at a time", "queues", m.dev.Queues(), "err", err)
	}
	m.full = err != nil || m.dev.Queues() == maxQueues
	if shortage.Is(err) {
		m.retry = time.Now().Add(growPause)
	}
}

// takeBack frees slots of idle marks until enough are free or the device is
// closed.
func (m *Marks) takeBack() {
	m.out.Retire() // slots have to be idle from now on
	for m.out.Free() < lowSlots && m.sleep(idleSlot) {
		m.closed = append(m.closed, m.out.Retire()...)
		if len(m.closed) == 0 {
			continue
		}
		if err := m.out.Grace(); err != nil {
			m.log.Warn("idle marks keep their queues", "err", err)
			continue // do not end: without a free slot no packet would begin another sweep
		}
		for len(m.closed) > 0 {
			if m.closed = m.release(m.closed); len(m.closed) > 0 && !m.sleep(releasePause) {
				return
			}
		}
	}
}

// release frees the slots whose queues are empty and returns the other queues.
func (m *Marks) release(closed []int) (left []int) {
	m.reading.Lock()
	defer m.reading.Unlock()
	for _, q := range closed {
		if m.dev.Holds(q) {
			left = append(left, q)
		} else {
			m.out.Release(q)
		}
	}
	return left
}

// sleep returns false when the device is being closed.
func (m *Marks) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-m.quit:
		return false
	case <-t.C:
		return true
	}
}

// close ends the present sweep. No burst may follow.
func (m *Marks) close() {
	close(m.quit)
	m.sweeping.Wait()
}
