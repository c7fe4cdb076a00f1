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

// MaxQueues is how many queues of a device can be used. One carries mark 0,
// each of the others one mark at a time.
const MaxQueues = 256

// A slot is free (0), open (the mark, or the mark and used), closed (the mark
// and closed) or without a queue (closed), see bpf/skbmark.c. The programs take
// a free slot and set used; everything else is done here.
const (
	used   = 1 << 32
	closed = 1 << 33
)

// Outgoing tells the mark of the packets that are read from a device. It is for
// one device.
type Outgoing struct {
	state         *programsOutgoing // in mem, shared with the programs
	mem           []byte
	steer, filter *ebpf.Program
}

// NewOutgoing loads the programs. They do nothing until Attach. The error wraps
// ErrUnsupported or ErrPermission where that is the reason.
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

// olderPrograms are for kernels that refuse the others.
var olderPrograms = map[string]string{"steer": "steer_old"}

func newOutgoing(inPlaceOf map[string]string) (*Outgoing, error) {
	var p struct {
		Map    *ebpf.Map     `ebpf:"outgoing_map"`
		Steer  *ebpf.Program `ebpf:"steer"`
		Filter *ebpf.Program `ebpf:"filter"`
	}
	if err := load(&p, inPlaceOf); err != nil {
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
		o.state.Slot[q] = closed // no queue yet; the programs do not run yet
	}
	return o, nil
}

// Attach makes the device behind the descriptor of any of its queues use the
// programs, in place of others it may have. They stay with the device when it
// is renamed or moved to another namespace, and after Close, until it is
// removed or Detach is called.
func (o *Outgoing) Attach(queueFD int) error {
	// The filter first: alone it lets through what is right in queue 0, while
	// the steering program alone would fill queues unchecked.
	if err := setProgram(queueFD, unix.TUNSETFILTEREBPF, o.filter.FD()); err != nil {
		return fmt.Errorf("attach filter program: %w", err)
	}
	if err := setProgram(queueFD, unix.TUNSETSTEERINGEBPF, o.steer.FD()); err != nil {
		return errors.Join(fmt.Errorf("attach steering program: %w", err), Detach(queueFD))
	}
	return nil
}

// Detach takes the programs of any Outgoing off the device behind the
// descriptor of one of its queues: packets then enter its queues whatever their
// mark, as far as the kernel sees fit. A device that was left behind by a
// process with an Outgoing, and is taken over by one without, needs it, because
// the programs drop marked packets as long as there is but one queue. It needs
// no permission besides the descriptor.
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

// SetQueues tells that n queues of the device are attached and read, 1 to
// MaxQueues; more are taken as MaxQueues. It is 1 at first, which is to drop
// every packet that has a mark. It can only be raised, after a queue was
// attached: when one is detached, the kernel gives its number to another.
func (o *Outgoing) SetQueues(n int) {
	for q := 1; q < min(n, MaxQueues); q++ {
		atomic.CompareAndSwapUint64(&o.state.Slot[q], closed, 0)
	}
}

// Mark returns the mark of every packet that is in the queue now, or was read
// from it since the last Release; 0 for queue 0 and for a queue with none. The
// queue is 0 to MaxQueues - 1. It does not allocate.
func (o *Outgoing) Mark(queue int) uint32 {
	// Not before the read that returned the packet: system calls order that.
	return uint32(atomic.LoadUint64(&o.state.Slot[queue]))
}

// Free returns how many more marks the attached queues can take.
func (o *Outgoing) Free() int {
	free := 0
	for q := range o.state.Slot {
		if atomic.LoadUint64(&o.state.Slot[q]) == 0 {
			free++
		}
	}
	return free
}

// Retire closes the open slots that no packet has used since the previous call
// and returns their queues; from then on nothing new enters these, and their
// marks get other queues when they come up again. A packet of such a mark that
// is between the steering program and the queue at that moment, which takes a
// qdisc that delays it for the whole time between the calls, is dropped and
// counted by Mismatches.
func (o *Outgoing) Retire() []int {
	var queues []int
	for q := range o.state.Slot {
		slot := &o.state.Slot[q]
		word := atomic.LoadUint64(slot)
		switch {
		case word == 0 || word&closed != 0:
		case word&used != 0:
			// Fails only if it has just been used again: nobody else closes
			// or frees it.
			atomic.CompareAndSwapUint64(slot, word, word&^used)
		case atomic.CompareAndSwapUint64(slot, word, word|closed):
			queues = append(queues, q)
		}
	}
	return queues
}

// Release makes the slot of a queue free again, for any mark. Retire returned
// the queue, then Grace returned, and then reading found it empty; the goroutine
// that reads it makes the call.
func (o *Outgoing) Release(queue int) {
	atomic.StoreUint64(&o.state.Slot[queue], 0)
}

// Overflows returns how many packets were dropped because they had a mark and
// all slots of the attached queues were taken.
func (o *Outgoing) Overflows() uint64 { return atomic.LoadUint64(&o.state.Overflows) }

// Mismatches returns how many packets were dropped because their queue is not,
// or no longer, that of their mark: it was retired while they waited in a
// qdisc, or a tc rule changed their mark or queue.
func (o *Outgoing) Mismatches() uint64 { return atomic.LoadUint64(&o.state.Mismatches) }

// Close gives back what the process holds of the programs. A device they are
// attached to keeps them, see Attach.
func (o *Outgoing) Close() error {
	o.state = nil
	return errors.Join(unix.Munmap(o.mem), o.steer.Close(), o.filter.Close())
}
