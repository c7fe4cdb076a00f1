package tuntap

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MaxQueues is the largest number of queues of a device: MAX_TAP_QUEUES of
// drivers/net/tun.c.
const MaxQueues = 256

// queues holds the queues of a device by number. The kernel numbers them in the
// order of attachment and renumbers them when one is detached, so none is
// detached before Close.
//
// Each is read for up to share packets at a time, so that none starves another.
type queues struct {
	fds   []int
	epoll int

	events [1 + MaxQueues]unix.EpollEvent
	ready  []unix.EpollEvent // part of events: queues that may hold packets
	taken  int               // packets read from ready[0] in its turn
}

// share is how many packets are read from a queue before the next one.
const share = 16

// noQueue is the number of the eventfd in the epoll instance.
const noQueue = -1

// init adds the first queue, and watches wake, which the caller keeps.
func (q *queues) init(first, wake int) (err error) {
	if q.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make epoll instance: %w", err)
	}
	if err = q.watch(wake, noQueue); err == nil {
		err = q.add(first)
	}
	if err != nil {
		unix.Close(q.epoll)
		return fmt.Errorf("watch queue 0: %w", err)
	}
	return nil
}

// add appends an attached queue.
func (q *queues) add(fd int) error {
	if err := q.watch(fd, len(q.fds)); err != nil {
		return err
	}
	q.fds = append(q.fds, fd)
	return nil
}

func (q *queues) watch(fd, number int) error {
	return unix.EpollCtl(q.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(number)})
}

// sleep waits until a queue is readable or wake is rung, and notes the queues
// for read. failed reports an error of a queue, as after the interface was
// deleted.
func (q *queues) sleep() (failed bool) {
	n, err := unix.EpollWait(q.epoll, q.events[:], -1)
	if err != nil {
		n = 0 // EINTR; there is no other error
	}
	q.ready, q.taken = q.events[:n], 0
	for _, e := range q.ready {
		failed = failed || e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
	}
	return failed
}

func (q *queues) close() {
	unix.Close(q.epoll)
	for _, fd := range q.fds {
		unix.Close(fd)
	}
}

// read reads the next packet of any queue, ErrAgain if there is none.
func (q *queues) read(p []byte) (n, queue int, err error) {
	for {
		for len(q.ready) > 0 && q.taken < share {
			if queue = int(q.ready[0].Fd); queue == noQueue {
				break
			}
			n, err = readPacket(q.fds[queue], p)
			if err == nil {
				q.taken++
				return n, queue, nil
			}
			if !errors.Is(err, ErrAgain) {
				return 0, queue, err
			}
			q.taken = share
		}
		if len(q.ready) > 0 {
			q.ready, q.taken = q.ready[1:], 0
			continue
		}
		count, err := unix.EpollWait(q.epoll, q.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		q.ready = q.events[:count]
		if count == 0 || count == 1 && q.ready[0].Fd == noQueue {
			q.ready = nil
			return 0, 0, ErrAgain
		}
	}
}

// AddQueues attaches n more queues to a multi-queue device. After an error
// those attached so far stay.
func (d *Device) AddQueues(n int) error {
	name, err := d.Name()
	if err != nil {
		return err
	}
	netns, err := d.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(netns)
	for range n {
		if err := d.addQueue(netns, name); err != nil {
			return fmt.Errorf("add queue %d: %w", d.Queues(), err)
		}
	}
	return nil
}

// Queues returns the number of attached queues.
func (d *Device) Queues() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.queues.fds)
}

// Holds reports whether a queue holds a packet.
func (d *Device) Holds(queue int) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(d.queues.fds[queue]), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0 && fds[0].Revents&unix.POLLIN != 0
}

// Control calls f with the descriptor of queue 0, for requests that concern the
// whole device.
func (d *Device) Control(f func(fd int) error) error {
	return d.control("control device", f)
}

// addQueue attaches one more queue. A descriptor belongs to the namespace in
// which it was opened, so that must be the device's own.
func (d *Device) addQueue(netns int, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	fd, err := openQueue(netns, name, d.cfg)
	if err != nil {
		return err
	}
	if err := d.queues.add(fd); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

// checkUnused returns EBUSY unless exactly that many queues of the device are
// attached. The kernel itself guards devices with a single queue.
func checkUnused(cfg Config, attached int) error {
	if !cfg.MultiQueue {
		return nil
	}
	index, err := indexByName(cfg.Name)
	if err != nil {
		return err
	}
	info, err := inspect(index)
	switch {
	case err != nil:
		return err
	case !info.MultiQueue:
		return unix.EINVAL
	case info.Queues != attached:
		return unix.EBUSY
	}
	return nil
}
