package datapath

import (
	"log/slog"
	"sync/atomic"
	"unsafe"

	"github.com/muennet/muennet/internal/region"
)

// PMTU limits the length of packets by their mark. It reads a region of
// little-endian u32, of which entry mark-1 is the limit in bytes. 0 is no
// limit, and neither have marks beyond the table one.
//
// Another process may change the region at any time: each entry is read once
// per packet. A PMTU serves one device.
type PMTU struct {
	entries []uint32
	log     *slog.Logger

	mark  uint32 // of the present lookup, for look
	entry uint32
	look  func()
}

// NewPMTU returns a PMTU that reads table, which must be aligned to 4 bytes.
func NewPMTU(table []byte, log *slog.Logger) *PMTU {
	t := &PMTU{log: log}
	if n := len(table) / 4; n > 0 {
		t.entries = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(table))), n)
	}
	t.look = func() { t.entry = atomic.LoadUint32(&t.entries[t.mark-1]) }
	return t
}

// lookup returns the limit of a mark in bytes, 0 if it has none.
func (t *PMTU) lookup(mark uint32) uint32 {
	if mark == 0 || uint64(mark) > uint64(len(t.entries)) {
		return 0
	}
	t.mark, t.entry = mark, 0
	if err := region.Guard(t.look); err != nil {
		t.log.Warn("path MTU is not known", "mark", mark, "err", err)
		return 0
	}
	return t.entry
}
