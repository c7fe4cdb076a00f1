package skbmark

import "github.com/cilium/ebpf"

// WithoutTCX makes Attach act as on a kernel without tcx.
func (i *Incoming) WithoutTCX() { i.withoutTCX = true }

// Program returns the ingress program.
func (i *Incoming) Program() *ebpf.Program { return i.program }

// Steer and Filter return the programs.
func (o *Outgoing) Steer() *ebpf.Program  { return o.steer }
func (o *Outgoing) Filter() *ebpf.Program { return o.filter }

// The two ways of Grace.
var (
	WaitMembarrier = waitMembarrier
	WaitMapUpdate  = waitMapUpdate
)

// FilterName is the name of our tc filters.
const FilterName = filterName
