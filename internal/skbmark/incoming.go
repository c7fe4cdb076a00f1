package skbmark

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

// Incoming sets the mark of packets that are written to a device. It is for one
// device.
type Incoming struct {
	state      *programsIncoming // in mem, shared with the program
	mem        []byte
	program    *ebpf.Program
	sequence   uint32 // of the last Arm
	armed      bool
	tcx        link.Link
	clsact     *clsactFilter // without tcx
	withoutTCX bool          // for tests
}

// NewIncoming loads the program, which does nothing until Attach. The error may
// wrap ErrUnsupported or ErrPermission.
func NewIncoming() (*Incoming, error) {
	i, err := newIncoming()
	if err != nil {
		err = explain(err, "5.5 with CONFIG_BPF_SYSCALL (mmapable arrays)")
		return nil, fmt.Errorf("load program for incoming marks: %w", err)
	}
	return i, nil
}

func newIncoming() (*Incoming, error) {
	var p struct {
		Map  *ebpf.Map     `ebpf:"incoming_map"`
		Mark *ebpf.Program `ebpf:"mark"`
	}
	if err := load(&p, nil); err != nil {
		return nil, err
	}
	mem, err := share(p.Map, unsafe.Sizeof(programsIncoming{}))
	if err != nil {
		p.Mark.Close()
		return nil, err
	}
	return &Incoming{
		state:   (*programsIncoming)(unsafe.Pointer(&mem[0])),
		mem:     mem,
		program: p.Mark,
	}, nil
}

// Attach makes an interface in the network namespace of the calling thread run
// the program on the packets it receives, before other tc programs, which still
// run. The error may wrap ErrUnsupported or ErrPermission.
//
// With tcx, available since Linux 6.6, the program stays attached when the
// interface is renamed or moved to another namespace, and is removed with this
// process. Without it, Attach adds a filter named "muennet" to the clsact or
// ingress qdisc, and creates the qdisc if necessary. It replaces such a filter
// if a process left one behind. The kernel removes all qdiscs from an interface
// that is moved, so call Attach again then. Attaching does not keep a namespace
// alive.
//
// Attach may be called any number of times. If the program is already attached,
// it changes nothing.
func (i *Incoming) Attach(ifindex int) error {
	if i.tcx != nil && i.tcxIndex() == ifindex {
		return nil
	}
	if err := i.detach(); err != nil {
		return err
	}
	err := shortage.Descriptors(descriptors)
	if err == nil {
		err = i.attachTCX(ifindex)
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		err = i.attachClsact(ifindex)
	}
	if err != nil {
		err = explain(err, "6.6 (tcx) or CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF (clsact)")
		return fmt.Errorf("attach ingress program to interface %d: %w", ifindex, err)
	}
	return nil
}

func (i *Incoming) attachTCX(ifindex int) (err error) {
	if i.withoutTCX {
		return ebpf.ErrNotSupported
	}
	i.tcx, err = link.AttachTCX(link.TCXOptions{
		Interface: ifindex,
		Program:   i.program,
		Attach:    ebpf.AttachTCXIngress,
		Anchor:    link.Head(), // the other programs see the mark
	})
	if err != nil {
		i.tcx = nil
	}
	return err
}

// tcxIndex returns the index of the interface with the link, in whatever
// namespace that is now; 0 if the interface is gone.
func (i *Incoming) tcxIndex() int {
	info, err := i.tcx.Info()
	if err != nil || info.TCX() == nil {
		return 0
	}
	return int(info.TCX().Ifindex)
}

func (i *Incoming) attachClsact(ifindex int) (err error) {
	i.clsact, err = addClsact(ifindex, i.program)
	return err
}

// How returns how the program is attached: "tcx", "clsact", or "" if it is not.
func (i *Incoming) How() string {
	switch {
	case i.tcx != nil:
		return "tcx"
	case i.clsact != nil:
		return "clsact"
	}
	return ""
}

// Arm sets the mark of the next packet written to the device. Call it before
// each write, with 0 for packets without a mark: only then can Seen detect that
// a packet was not processed before the next one is armed. It does not
// allocate.
func (i *Incoming) Arm(mark uint32) {
	i.sequence++
	if i.sequence == 0 { // 0 means disarmed
		i.sequence = 1
	}
	i.armed = true
	// One word, so that the program never combines the mark of one packet
	// with the sequence number of another.
	atomic.StoreUint64(&i.state.Armed, uint64(i.sequence)<<32|uint64(mark))
}

// Seen reports, after a successful write, whether the program has processed the
// armed packet; true if nothing is armed. If it is false, the device does not
// receive synchronously (RPS), an earlier program has taken the packet, or the
// program is no longer attached. Then call Disarm and do not arm any more. It
// does not allocate.
func (i *Incoming) Seen() bool {
	return !i.armed || atomic.LoadUint64(&i.state.Seen) == uint64(i.sequence)
}

// Disarm makes the program leave packets alone until the next Arm.
func (i *Incoming) Disarm() {
	i.armed = false
	atomic.StoreUint64(&i.state.Armed, 0)
}

// Close detaches the program and releases it. The interface may already be
// gone. A clsact filter is removed only if the calling thread is in the
// namespace of the interface; otherwise it remains, without effect, until the
// interface is removed.
func (i *Incoming) Close() error {
	i.Disarm()
	err := errors.Join(i.detach(), unix.Munmap(i.mem), i.program.Close())
	i.state = nil
	return err
}

func (i *Incoming) detach() (err error) {
	switch {
	case i.tcx != nil:
		err = i.tcx.Close()
		i.tcx = nil
	case i.clsact != nil:
		err = i.clsact.remove()
		i.clsact = nil
	}
	return err
}
