package tuntap

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Device is an open TUN or TAP device.
type Device struct {
	cfg     Config
	adopted bool
	file    *os.File // what Wait waits on: the only queue, or the epoll instance that watches them all
	raw     syscall.RawConn

	// mu is held for reading while the descriptors are used, and for writing to
	// add one or set closed, so that none is used when its number may already
	// belong to something else. It is not held while anything waits.
	mu     sync.RWMutex
	fd     int // of queue 0
	closed bool
	queues queues // with Config.MultiQueue

	waiting sync.Mutex         // held by Wait; guards ready
	ready   func() bool        // of the Wait that goes on
	tryFunc func(uintptr) bool // d.try, made once so that Wait does not allocate
}

// Adopted reports whether Open took over an existing device.
func (d *Device) Adopted() bool { return d.adopted }

// Read reads one packet into p and returns its length and the queue it was in.
// It does not wait: the error is ErrAgain if there is no packet. A packet
// longer than p is cut without notice, so p must hold the largest one, with the
// packet-information header where there is one. It does not allocate. With
// several queues one goroutine at a time may call it.
func (d *Device) Read(p []byte) (n, queue int, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, 0, os.ErrClosed
	}
	if d.cfg.MultiQueue {
		return d.queues.read(p)
	}
	n, err = readPacket(d.fd, p)
	return n, 0, err
}

func readPacket(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EBADFD:
			return 0, ErrGone
		default:
			return 0, err
		}
	}
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
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EBADFD:
			return 0, ErrGone
		default:
			return 0, err
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
func (d *Device) Wait(ready func() bool) error {
	d.waiting.Lock()
	defer d.waiting.Unlock()
	d.ready = ready
	err := d.raw.Read(d.tryFunc)
	d.ready = nil
	switch {
	case err == nil:
		return nil
	case d.isClosed():
		return os.ErrClosed
	case d.Gone():
		return ErrGone
	}
	return err
}

func (d *Device) try(uintptr) bool { return d.ready() }

// Interrupt makes the Wait that goes on and all later ones return an error that
// wraps os.ErrDeadlineExceeded, until Resume.
func (d *Device) Interrupt() error { return d.setDeadline(time.Unix(1, 0)) }

// Resume takes Interrupt back.
func (d *Device) Resume() error { return d.setDeadline(time.Time{}) }

func (d *Device) setDeadline(t time.Time) error {
	err := d.file.SetReadDeadline(t)
	if err != nil && d.isClosed() {
		return os.ErrClosed
	}
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
	d.mu.Unlock()
	// Not under the lock: it waits for Wait, whose function may be in Read.
	err := d.file.Close()
	if d.cfg.MultiQueue {
		d.queues.close()
	}
	return err
}

func (d *Device) isClosed() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.closed
}
