package datapath

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// IncomingMarks puts a mark on the packet that is about to be written to a
// device: skbmark.Incoming, or a test.
type IncomingMarks interface {
	// Attach is called once, before all others. When it returns, every packet
	// that was written before has been received. With an error there are no
	// marks on received packets; whoever implements it says so.
	Attach() error
	// Arm gives packets that are received from now on this mark; 0 leaves them
	// as they are.
	Arm(mark uint32)
	// Seen reports whether one was received since Arm, or nothing is armed.
	Seen() bool
	// Disarm takes Arm back.
	Disarm()
	// Account makes Pending tell of the packets that are written to the device from
	// now on, and the device return unix.EAGAIN while one is pending; false takes it
	// back. With an error Pending does not tell.
	Account(on bool) error
	// Pending reports whether a packet is still on its way: it was neither received
	// nor dropped.
	Pending() bool
}

// receipt is what a Port knows of how its packets are received. A packet that comes
// out of Write before it has been received is either on its way, because RPS has
// put it aside: then others may be as well, and any of them would take the mark of
// one that is being written. Or it will never be received: an XDP program has taken
// it, or another one in front of ours.
//
//	       one was not received within its write,
//	       and is on its way or may be
//	marks ------------------------------------------> suspended
//	      <------------------------------------------
//	       none was on its way, or came late, for calm
//
// Whether one is on its way tells the memory that the kernel accounts for it, if it
// was asked to before. It is, when marks are suspended for the first time.
type receipt struct {
	suspended bool
	since     time.Time // when a packet was last on its way, or may have been
	accounted bool      // Marks.Pending tells
	tried     time.Time // when it was last asked to
}

// Prepare takes beforehand the time that the first packet with a mark would.
func (p *Port) Prepare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attach()
}

// attach makes use of the marks, if they can be had. The caller holds the lock.
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

// write hands a packet to the kernel. One without a mark is armed for as well
// once marks are in use: only so it is noticed if it is still on its way when the
// next one is written, whose mark it would take.
func (p *Port) write(frame []byte, parts [][]byte, mark uint32) error {
	if mark != 0 {
		p.attach()
	}
	if !p.attached {
		return p.writeUnmarked(frame, parts, mark)
	}
	r, marks := &p.receipt, p.cfg.Marks
	if r.accounted && !r.suspended && marks.Seen() { // what was armed behind the previous packet
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
	onItsWay := !seen && (!r.accounted || marks.Pending())
	marks.Arm(0) // to be told when one comes late
	if !seen && mark != 0 {
		p.count.Unmarked++
	}
	if onItsWay {
		p.suspend()
	}
	return err
}

// suspend sets no marks from now on.
func (p *Port) suspend() {
	r := &p.receipt
	r.suspended, r.since = true, time.Now()
	if !r.accounted {
		p.account(true)
	}
	p.cfg.Log.Warn("marks are not set on received packets for now: one was not received within its write, as with RPS (rps_cpus) or a program that drops")
}

// account has the device tell of packets that are on their way, if it can, or no
// more.
func (p *Port) account(on bool) {
	p.receipt.accounted, p.receipt.tried = p.cfg.Marks.Account(on) == nil && on, time.Now()
}

// writeSuspended hands a packet to the kernel without its mark, and learns from it.
func (p *Port) writeSuspended(frame []byte, parts [][]byte, mark uint32) error {
	r, marks := &p.receipt, p.cfg.Marks
	late := marks.Seen() // of what was armed behind the previous packet
	marks.Arm(0)
	err := p.writeUnmarked(frame, parts, mark)
	seen := marks.Seen()
	onItsWay := err == nil && !seen && (!r.accounted || marks.Pending())
	marks.Arm(0)
	now := time.Now()
	switch {
	case late || onItsWay:
		r.since = now
	case err == nil && seen && now.Sub(r.since) >= calm:
		r.suspended = false
		if !r.accounted {
			marks.Disarm()
		}
		p.cfg.Log.Info("marks are set on received packets again")
	}
	if r.suspended && !r.accounted && now.Sub(r.tried) >= calm {
		p.account(true) // there may be a program that drops, and no RPS any more
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

// hand gives the device a packet: frame, or its parts.
func (p *Port) hand(frame []byte, parts [][]byte) error {
	err := p.push(frame, parts)
	if p.receipt.accounted && errors.Is(err, unix.EAGAIN) {
		// One is on its way, and others shall not wait for it.
		p.account(false)
		p.receipt.since = time.Now()
		err = p.push(frame, parts)
	}
	return err
}

func (p *Port) push(frame []byte, parts [][]byte) (err error) {
	if parts != nil {
		_, err = p.cfg.Device.Writev(parts)
	} else {
		_, err = p.cfg.Device.Write(frame)
	}
	return err
}
