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

	// mu is held for reading while the descriptors are used, and for writing to
	// add one or set closed, so that none is used when its number may already
	// belong to something else. It is not held while anything waits.
	mu          sync.RWMutex
	fd          int // of queue 0
	closed      bool
	interrupted bool
	queues      queues

	waiting sync.Mutex // held by Wait
	wake    int        // an eventfd that ends the sleep of Wait
}

// Attached reports whether Open attached to an existing device.
func (d *Device) Attached() bool { return d.attached }

// Config returns what Open was told.
func (d *Device) Config() Config { return d.cfg }

// Read reads one packet into p and returns its length and the queue it was in.
// It does not wait: the error is ErrAgain if there is no packet. A packet
// longer than p is cut without notice, so p must hold the largest one, with the
// packet-information header where there is one. It does not allocate. With
// several queues one goroutine at a time may call it.
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

// meaning is what an error of reading or writing a packet says to callers.
func meaning(err error) error {
	if err == unix.EBADFD {
		return ErrGone
	}
	return err
}

// Write hands p to the kernel as one packet that has arrived on the interface.
// It does not wait. The error is ErrDown if the interface is down, and EINVAL
// if the kernel cannot take this packet: it is empty, shorter than an Ethernet
// header on a TAP, or neither IPv4 nor IPv6 on a TUN without PacketInfo. The
// packet is dropped in these cases and the next one is not affected. It does
// not allocate.
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

// Wait calls ready, and again each time the device has become readable, until
// it returns true. So ready must read until ErrAgain before it returns false.
// It must not call Wait or Close.
//
// The error is os.ErrClosed after Close, ErrGone when the interface was
// deleted, and one that wraps os.ErrDeadlineExceeded after Interrupt. Wait does
// not allocate.
//
// It sleeps in a system call of its own, not in Go's poller: that would wake
// one thread to learn of the packet and often another one to read it.
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

// stopped tells why Wait may not go on.
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

// Interrupt makes the Wait that goes on and all later ones return
// os.ErrDeadlineExceeded, until Resume.
func (d *Device) Interrupt() error { return d.interrupt(true) }

// Resume takes Interrupt back.
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

// Close closes the device, and a Wait that goes on returns. The interface is
// deleted unless it is persistent. A second Close returns os.ErrClosed.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return os.ErrClosed
	}
	d.closed = true
	err := d.ring()
	d.mu.Unlock()
	// Only a Wait that has not returned yet may still use the descriptors.
	d.waiting.Lock()
	defer d.waiting.Unlock()
	unix.Close(d.wake)
	d.queues.close()
	return err
}
