package skbmark

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

// MaxQueues is the maximum number of usable queues of a device. One carries
// mark 0, each of the others one mark at a time.
const MaxQueues = 256

// A slot is free (0), open (the mark, or the mark and used), closed (the mark
// and closed) or without a queue (closed), see bpf/skbmark.c. The programs
// allocate free slots and set used; Outgoing does everything else.
const (
	used   = 1 << 32
	closed = 1 << 33
)

// Outgoing determines the mark of packets read from a device. It is for one
// device.
type Outgoing struct {
	state         *programsOutgoing // in mem, shared with the programs
	mem           []byte
	steer, filter *ebpf.Program
}

// NewOutgoing loads the programs, which do nothing until Attach. The error may
// wrap ErrUnsupported or ErrPermission.
func NewOutgoing() (*Outgoing, error) {
	o, err := newOutgoing(nil)
	if err != nil && !shortage.Is(err) {
		o, err = newOutgoing(olderPrograms)
	}
	if err != nil {
		err = explain(err, "5.12 with CONFIG_BPF_SYSCALL (TUN steering programs 4.16, bounded loops 5.3, mmapable arrays 5.5, compare-and-swap 5.12)")
		return nil, fmt.Errorf("load programs for outgoing marks: %w", err)
	}
	return o, nil
}

// olderPrograms replace those that older kernels refuse.
var olderPrograms = map[string]string{"steer": "steer_old"}

func newOutgoing(replace map[string]string) (*Outgoing, error) {
	var p struct {
		Map    *ebpf.Map     `ebpf:"outgoing_map"`
		Steer  *ebpf.Program `ebpf:"steer"`
		Filter *ebpf.Program `ebpf:"filter"`
	}
	if err := load(&p, replace); err != nil {
		return nil, err
	}
	mem, err := share(p.Map, unsafe.Sizeof(programsOutgoing{}))
	if err != nil {
		p.Steer.Close()
		p.Filter.Close()
		return nil, err
	}
	o := &Outgoing{
		state: (*programsOutgoing)(unsafe.Pointer(&mem[0])),
		mem:   mem,
		steer: p.Steer, filter: p.Filter,
	}
	for q := range o.state.Slot {
		o.state.Slot[q] = closed // no queue yet; the programs are not running
	}
	return o, nil
}

// Attach makes the device use the programs, instead of others it may have.
// queueFD is the descriptor of any of its queues. They stay with the device
// when it is renamed or moved to another namespace, and after Close, until it
// is removed or Detach is called.
func (o *Outgoing) Attach(queueFD int) error {
	// The filter first: alone it only passes unmarked packets in queue 0,
	// while the steering program alone would fill queues unchecked.
	if err := setProgram(queueFD, unix.TUNSETFILTEREBPF, o.filter.FD()); err != nil {
		return fmt.Errorf("attach filter program: %w", err)
	}
	if err := setProgram(queueFD, unix.TUNSETSTEERINGEBPF, o.steer.FD()); err != nil {
		return errors.Join(fmt.Errorf("attach steering program: %w", err), Detach(queueFD))
	}
	return nil
}

// Detach removes the programs of any Outgoing from the device. queueFD is the
// descriptor of any of its queues. Packets then enter its queues whatever their
// mark, as the kernel decides. Detach is needed for a device that a process
// with an Outgoing left behind and one without takes over: the programs would
// drop marked packets as long as there is only one queue. It needs no
// permission besides the descriptor.
func Detach(queueFD int) error {
	const none = -1
	// In the reverse order of Attach, for the same reason.
	if err := setProgram(queueFD, unix.TUNSETSTEERINGEBPF, none); err != nil {
		return fmt.Errorf("detach steering program: %w", err)
	}
	if err := setProgram(queueFD, unix.TUNSETFILTEREBPF, none); err != nil {
		return fmt.Errorf("detach filter program: %w", err)
	}
	return nil
}

func setProgram(queueFD int, request uint, program int) error {
	return unix.IoctlSetPointerInt(queueFD, request, program)
}

// SetQueues sets the number of attached queues that are read, 1 to MaxQueues;
// larger values mean MaxQueues. It is 1 at first: every packet with a mark is
// dropped. It can only be increased, after a queue was attached, because when a
// queue is detached the kernel gives its number to another.
func (o *Outgoing) SetQueues(n int) {
	for q := 1; q < min(n, MaxQueues); q++ {
		atomic.CompareAndSwapUint64(&o.state.Slot[q], closed, 0)
	}
}

// Mark returns the mark of all packets that are in the queue now or were read
// from it since the last Release. It is 0 for queue 0 and for a queue without a
// mark. queue is 0 to MaxQueues - 1. It does not allocate.
func (o *Outgoing) Mark(queue int) uint32 {
	// System calls order this after the read that returned the packet.
	return uint32(atomic.LoadUint64(&o.state.Slot[queue]))
}

// Free returns how many more marks the attached queues can carry.
func (o *Outgoing) Free() int {
	free := 0
	for q := range o.state.Slot {
		if atomic.LoadUint64(&o.state.Slot[q]) == 0 {
			free++
		}
	}
	return free
}

// Retire closes the open slots that no packet has used since the previous call,
// and returns their queues. From then on nothing enters these, and their marks
// get other queues when they are used again. If a packet of such a mark is
// between the steering program and the queue at that moment, it is dropped and
// counted by Mismatches. That takes a qdisc that delays it for the whole time
// between the calls.
func (o *Outgoing) Retire() []int {
	var queues []int
	for q := range o.state.Slot {
		slot := &o.state.Slot[q]
		word := atomic.LoadUint64(slot)
		switch {
		case word == 0 || word&closed != 0:
		case word&used != 0:
			// Fails only if it was used again just now: only this
			// function closes open slots.
			atomic.CompareAndSwapUint64(slot, word, word&^used)
		case atomic.CompareAndSwapUint64(slot, word, word|closed):
			queues = append(queues, q)
		}
	}
	return queues
}

// Release frees the slot of a queue for any mark. Call it from the goroutine
// that reads the queue, after Retire has returned the queue, Grace has
// returned, and then a read has found the queue empty.
func (o *Outgoing) Release(queue int) {
	atomic.StoreUint64(&o.state.Slot[queue], 0)
}

// Overflows returns how many packets with a mark were dropped because all slots
// of the attached queues were in use.
func (o *Outgoing) Overflows() uint64 { return atomic.LoadUint64(&o.state.Overflows) }

// Mismatches returns how many packets were dropped because their queue was not,
// or no longer, that of their mark: it was retired while they waited in a
// qdisc, or a tc rule changed their mark or queue.
func (o *Outgoing) Mismatches() uint64 { return atomic.LoadUint64(&o.state.Mismatches) }

// Close releases the programs. A device they are attached to keeps them; see
// Attach.
func (o *Outgoing) Close() error {
	o.state = nil
	return errors.Join(unix.Munmap(o.mem), o.steer.Close(), o.filter.Close())
}
