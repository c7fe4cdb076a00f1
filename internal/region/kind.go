package region

import "path/filepath"

// Kind says what memory a region is made of.
type Kind uint8

const (
	// Plain is a regular file, by preference on a tmpfs.
	Plain Kind = iota
	// Muenfs is a channel of a subject of the Muen separation kernel.
	Muenfs
	// PCI is BAR 2 of an ivshmem device in a virtual machine.
	PCI
)

// String returns "file", "muenfs" or "pci".
func (k Kind) String() string {
	switch k {
	case Muenfs:
		return "muenfs"
	case PCI:
		return "pci"
	}
	return "file"
}

// eventDir holds a file for each channel of a muenfs whose writer may raise an
// event: a byte written to it is one.
const eventDir = "/muenevents"

// Kind tells what memory the region is made of.
func (r *Region) Kind() Kind { return r.kind }

// Descriptor returns the open file, for poll(2) on a muenfs: there it waits for
// the channel's interrupt. It is the region's own: valid until Close, not to be
// closed or read by anyone else. It is -1 after Close.
func (r *Region) Descriptor() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fd
}

// Futex tells whether futex(2) works on the region's memory. It does not on a
// muenfs and on PCI: they are mapped by page frame number, there are no struct
// pages that a shared futex could be found by, and the call fails with EFAULT.
func (r *Region) Futex() bool { return r.kind == Plain }

// EventPath returns the file that takes the writer's events for this channel:
// /muenevents/NAME on a muenfs, "" elsewhere. It need not exist: a channel
// without an event has none.
func (r *Region) EventPath() string {
	if r.kind != Muenfs {
		return ""
	}
	return filepath.Join(eventDir, filepath.Base(r.spec.Path))
}
