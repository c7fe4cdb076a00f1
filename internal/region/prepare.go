package region

import (
	"fmt"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/shmstream"
)

// IsPCI tells whether spec names the memory of a PCI device.
func IsPCI(spec string) bool { return strings.HasPrefix(spec, names.PCIPrefix) }

// Prepare is [Create] for the memory of an ivshmem device, which is there
// already: it makes an inactive channel of zeros of it, or of the window that
// spec names. A size other than 0 must be that of the memory.
//
// Where a writer holds the lock, or is active by what the header says, it
// refuses and changes nothing. Locks are seen within this system only, so a
// writer in another virtual machine is known by the header alone: one that
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

// reset clears the region unless it is clear, or in use.
func (r *Region) reset() error {
	h, err := shmstream.ReadHeader(r.bytes)
	if err != nil {
		return err
	}
	switch contentsOf(h, len(r.bytes)) {
	case blank:
		return nil // as fresh memory is, or one that was prepared before
	case other:
		return fmt.Errorf("the memory is %w: a writer that starts there would overwrite it", ErrNoChannel)
	}
	if h.Epoch != 0 {
		return fmt.Errorf("a writer is active there, epoch %#x: it has to stop first; if it died, the next one needs no preparation", uint64(h.Epoch))
	}
	clear(r.bytes)
	return nil
}
