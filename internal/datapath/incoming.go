package datapath

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// IncomingMarks sets the mark of a packet that is written to a device:
// skbmark.Incoming, or a test.
type IncomingMarks interface {
	// Attach is called once, before all others. When it returns, the kernel has
	// received every packet written before. After an error received packets have
	// no marks; the implementation reports the error.
	Attach() error
	// Arm gives packets that are received from now on this mark; 0 leaves theirs.
	Arm(mark uint32)
	// Seen reports whether a packet was received since Arm, or nothing is armed.
	Seen() bool
	// Disarm ends Arm.
	Disarm()
	// Account(true) has the device account for packets written from now on:
	// Pending tells of them, and a write returns unix.EAGAIN while one is pending.
	// After an error Pending does not tell.
	Account(on bool) error
	// Pending reports whether a packet was neither received nor dropped yet.
	Pending() bool
}

// receipt is what a Port knows of how the kernel receives its packets. Usually
// it does so within the write, with the mark that is armed then. A packet not
// received when its write returns is one of two things. It may be pending,
// because RPS has queued it: then others may be, too, and would take the mark
// of a later packet. Or it will never be received, because an XDP program or
// another program in front of ours has taken it.
//
//	       a packet was not received within its write,
//	       and is pending or may be
//	marks ------------------------------------------> suspended
//	      <------------------------------------------
//	       no packet was pending or late, for calm
//
// The memory that the kernel accounts to the device tells the two apart, once
// the device was asked to account. It is asked when marks are first suspended.
type receipt struct {
	suspended bool
	since     time.Time // when a packet was last pending, or may have been
	accounted bool      // Marks.Pending tells
	tried     time.Time // when the device was last asked to account
}

// Prepare attaches the marks, so that the first packet with one does not wait.
func (p *Port) Prepare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attach()
}

// attach attaches the marks, if there are any. The caller holds the lock.
func (p *Port) attach() {
	if p.attached || p.cfg.Marks == nil {
		return
	}
	if p.cfg.Marks.Attach() != nil {
		p.cfg.Marks = nil
		return
	}
	p.attached = true
}

// write hands a packet to the kernel. Once marks are attached, packets without
// one are armed, too: only then is it noticed that one is still pending when
// the next is written, whose mark it would take.
func (p *Port) write(frame []byte, parts [][]byte, mark uint32) error {
	if mark != 0 {
		p.attach()
	}
	if !p.attached {
		return p.writeUnmarked(frame, parts, mark)
	}
	r, marks := &p.receipt, p.cfg.Marks
	if r.accounted && !r.suspended && marks.Seen() { // an earlier packet came late
		p.suspend()
	}
	if r.suspended {
		return p.writeSuspended(frame, parts, mark)
	}
	marks.Arm(mark)
	err := p.hand(frame, parts)
	seen := marks.Seen() || err != nil
	if seen && !r.accounted {
		marks.Disarm()
		return err
	}
	pending := !seen && (!r.accounted || marks.Pending())
	marks.Arm(0) // Seen tells if it comes late
	if !seen && mark != 0 {
		p.count.Unmarked++
	}
	if pending {
		p.suspend()
	}
	return err
}

// suspend stops setting marks.
func (p *Port) suspend() {
	r := &p.receipt
	r.suspended, r.since = true, time.Now()
	if !r.accounted {
		p.account(true)
	}
	p.cfg.Log.Warn("received packets get no marks for now: one was not received within its write, as with RPS (rps_cpus) or a program that drops")
}

// account has the device account for packets, if it can, or stop.
func (p *Port) account(on bool) {
	p.receipt.accounted, p.receipt.tried = p.cfg.Marks.Account(on) == nil && on, time.Now()
}

// writeSuspended hands a packet to the kernel without its mark, and finds out
// whether marks can be set again.
func (p *Port) writeSuspended(frame []byte, parts [][]byte, mark uint32) error {
	r, marks := &p.receipt, p.cfg.Marks
	late := marks.Seen() // an earlier packet
	marks.Arm(0)
	err := p.writeUnmarked(frame, parts, mark)
	seen := marks.Seen()
	pending := err == nil && !seen && (!r.accounted || marks.Pending())
	marks.Arm(0)
	now := time.Now()
	switch {
	case late || pending:
		r.since = now
	case err == nil && seen && now.Sub(r.since) >= calm:
		r.suspended = false
		if !r.accounted {
			marks.Disarm()
		}
		p.cfg.Log.Info("received packets get their marks again")
	}
	if r.suspended && !r.accounted && now.Sub(r.tried) >= calm {
		p.account(true) // RPS may be off by now, and a program drop packets
	}
	return err
}

// writeUnmarked hands a packet to the kernel without its mark.
func (p *Port) writeUnmarked(frame []byte, parts [][]byte, mark uint32) error {
	if mark != 0 {
		p.count.Unmarked++
	}
	return p.hand(frame, parts)
}

// hand writes a packet to the device: frame, or its parts.
func (p *Port) hand(frame []byte, parts [][]byte) error {
	err := p.push(frame, parts)
	if p.receipt.accounted && errors.Is(err, unix.EAGAIN) {
		// A packet is pending. Others must not wait for it.
		p.account(false)
		p.receipt.since = time.Now()
		err = p.push(frame, parts)
	}
	return err
}

// push is hand without a second try.
func (p *Port) push(frame []byte, parts [][]byte) (err error) {
	if parts != nil {
		_, err = p.cfg.Device.Writev(parts)
	} else {
		_, err = p.cfg.Device.Write(frame)
	}
	return err
}
