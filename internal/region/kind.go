package region

import "path/filepath"

// Kind is the kind of memory of a region.
type Kind uint8

const (
	// Plain is a regular file, preferably on a tmpfs.
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

// eventDir holds a file for each channel of a muenfs that has an event. Writing
// a byte to the file raises the event.
const eventDir = "/muenevents"

// Kind returns the kind of memory of the region.
func (r *Region) Kind() Kind { return r.kind }

// Descriptor returns the open file, on which poll(2) waits for the channel's
// interrupt on a muenfs. It belongs to the region and is valid until Close: do
// not close it or read from it. After Close it is -1.
func (r *Region) Descriptor() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fd
}

// Futex reports whether futex(2) works on the region's memory. It does not on a
// muenfs and on PCI: these are mapped by page frame number, so there are no
// struct pages by which the kernel could find a shared futex, and the call
// fails with EFAULT.
func (r *Region) Futex() bool { return r.kind == Plain }

// EventPath returns the file through which the writer raises the events of this
// channel: /muenevents/NAME on a muenfs, "" elsewhere. It need not exist: a
// channel may have no event.
func (r *Region) EventPath() string {
	if r.kind != Muenfs {
		return ""
	}
	return filepath.Join(eventDir, filepath.Base(r.spec.Path))
}
