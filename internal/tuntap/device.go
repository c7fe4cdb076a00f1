package tuntap

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Device is an open TUN or TAP device.
type Device struct {
	cfg      Config
	attached bool

	// mu guards the descriptors and closed. It is held for reading while a
	// descriptor is in use, so that its number cannot be reused in between. It is
	// never held during a wait.
	mu          sync.RWMutex
	fd          int // of queue 0
	closed      bool
	interrupted bool
	queues      queues

	waiting sync.Mutex // held by Wait
	wake    int        // eventfd that ends the sleep of Wait
}

// Attached reports whether Open attached to an existing device.
func (d *Device) Attached() bool { return d.attached }

// Config returns the argument of Open.
func (d *Device) Config() Config { return d.cfg }

// Read reads one packet into p and returns its length and its queue. It does
// not wait: the error is ErrAgain if there is no packet. A longer packet is cut
// without notice, so p must have room for the largest packet with its headers.
// With several queues only one goroutine at a time may call Read. It does not
// allocate.
func (d *Device) Read(p []byte) (n, queue int, err error) {
	d.mu.RLock()
	switch {
	case d.closed:
		err = os.ErrClosed
	case d.cfg.MultiQueue:
		n, queue, err = d.queues.read(p)
	default:
		n, err = readPacket(d.fd, p)
	}
	d.mu.RUnlock() // not deferred: that costs a tenth of an empty read
	return n, queue, err
}

func readPacket(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err == nil {
			return n, nil
		}
		if err != unix.EINTR {
			return 0, meaning(err)
		}
	}
}

// meaning translates an error of reading or writing a packet.
func meaning(err error) error {
	if err == unix.EBADFD {
		return ErrGone
	}
	return err
}

// Write hands p to the kernel as a packet that the interface received. It does
// not wait and does not allocate. The error is ErrDown if the interface is
// down. It is EINVAL for a packet that is empty, shorter than an Ethernet
// header on a TAP, or neither IPv4 nor IPv6 on a TUN without PacketInfo. After
// an error the packet is lost and the next one is not affected.
func (d *Device) Write(p []byte) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, os.ErrClosed
	}
	for {
		n, err := unix.Write(d.fd, p)
		if err == nil {
			return n, nil
		}
		if err != unix.EINTR {
			return 0, meaning(err)
		}
	}
}

// Wait calls ready, and again whenever the device becomes readable, until ready
// returns true. So ready must read until ErrAgain before it returns false. It
// must not call Wait or Close.
//
// The error is os.ErrClosed after Close, ErrGone after the interface was
// deleted, and os.ErrDeadlineExceeded after Interrupt. Wait does not allocate.
//
// It sleeps in epoll_wait(2) itself, not in Go's poller, which would often wake
// one thread for the event and another one to read the packet.
func (d *Device) Wait(ready func() bool) error {
	d.waiting.Lock()
	defer d.waiting.Unlock()
	for {
		if err := d.stopped(); err != nil {
			return err
		}
		if ready() {
			return nil
		}
		if d.queues.sleep() && d.Gone() {
			return ErrGone
		}
	}
}

// stopped returns why Wait must end, nil if it may go on.
func (d *Device) stopped() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case d.closed:
		return os.ErrClosed
	case d.interrupted:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Interrupt makes the current Wait and all later ones return
// os.ErrDeadlineExceeded, until Resume.
func (d *Device) Interrupt() error { return d.interrupt(true) }

// Resume undoes Interrupt.
func (d *Device) Resume() error { return d.interrupt(false) }

func (d *Device) interrupt(on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	d.interrupted = on
	if on {
		return d.ring()
	}
	var count [8]byte
	if _, err := unix.Read(d.wake, count[:]); err != nil && err != unix.EAGAIN {
		return err
	}
	return nil
}

// ring ends the sleep of Wait.
func (d *Device) ring() error {
	_, err := unix.Write(d.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return err
}

// Close closes the device and ends a Wait. The interface is deleted unless it
// is persistent. A second Close returns os.ErrClosed.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return os.ErrClosed
	}
	d.closed = true
	err := d.ring()
	d.mu.Unlock()
	// Only a Wait that has not returned yet still uses the descriptors.
	d.waiting.Lock()
	defer d.waiting.Unlock()
	unix.Close(d.wake)
	d.queues.close()
	return err
}
