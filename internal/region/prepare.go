package region

import (
	"fmt"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/shmstream"
)

// IsPCI reports whether spec names the memory of a PCI device.
func IsPCI(spec string) bool { return strings.HasPrefix(spec, names.PCIPrefix) }

// Prepare is [Create] for the memory of an ivshmem device, which already
// exists: it turns the memory, or the window in spec, into an inactive channel
// of zeros. A size other than 0 must be that of the memory.
//
// It refuses, and changes nothing, if a writer holds the lock or is active
// according to the header. Locks are only visible within this system, so a
// writer in another virtual machine is recognised by the header alone: one that
// starts at this very moment may lose what it has written so far.
func Prepare(spec string, size int64) error {
	if !IsPCI(spec) {
		return fmt.Errorf("prepare channel %s: want %sBUS:DEV.FN", spec, names.PCIPrefix)
	}
	r, err := Open("", spec, ReadWrite)
	if err != nil {
		return err
	}
	defer r.Close()
	if size != 0 && size != int64(r.Size()) {
		return fmt.Errorf("prepare channel %s: it has %d bytes, not %d", spec, r.Size(), size)
	}
	if err := r.Lock(); err != nil {
		return err
	}
	var refusal error
	if err := Guard(func() { refusal = r.reset() }); err != nil {
		return err
	}
	if refusal != nil {
		return fmt.Errorf("prepare channel %s: %w", spec, refusal)
	}
	return nil
}

// reset clears the region unless it is already clear or in use.
func (r *Region) reset() error {
	h, err := shmstream.ReadHeader(r.bytes)
	if err != nil {
		return err
	}
	switch contentsOf(h, len(r.bytes)) {
	case blank:
		return nil // fresh memory, or already prepared
	case other:
		return fmt.Errorf("the memory is %w: a writer would overwrite it", ErrNoChannel)
	}
	if h.Epoch != 0 {
		return fmt.Errorf("a writer is active, epoch %#x: it must stop first; if it died, the next one needs no preparation", uint64(h.Epoch))
	}
	clear(r.bytes)
	return nil
}
