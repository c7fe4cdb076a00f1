package skbmark

import "github.com/cilium/ebpf"

// WithoutTCX makes Attach behave as on a kernel without tcx.
func (i *Incoming) WithoutTCX() { i.withoutTCX = true }

// SetSequence sets the sequence number of the last Arm.
func (i *Incoming) SetSequence(n uint32) { i.sequence = n }

// Program returns the ingress program.
func (i *Incoming) Program() *ebpf.Program { return i.program }

// WaitMapUpdate is the fallback of Grace.
var WaitMapUpdate = waitMapUpdate

// FilterName is the name of our tc filters.
const FilterName = filterName

// NewOlderOutgoing is NewOutgoing on a kernel without bpf_loop.
func NewOlderOutgoing() (*Outgoing, error) { return newOutgoing(olderPrograms) }
