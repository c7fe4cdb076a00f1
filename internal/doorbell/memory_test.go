package doorbell

import (
	"testing"
	"time"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// Only faults in missing memory are recovered. Bugs still panic.
func TestOnlyFaultsAreTaken(t *testing.T) {
	memory, resize := shrinking(t)
	wc, epoch := Words(memory)
	if !(words{wc, epoch}).readable() {
		t.Error("the words are not readable")
	}
	resize(0)
	if (words{wc, epoch}).readable() {
		t.Error("the words are readable although the file is empty")
	}
	passes := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: a nil pointer is taken for a region that shrank", what)
			}
		}()
		f()
	}
	passes("load", func() { _, _, _ = words{}.load() })
	passes("poller", func() {
		p := poller{entries: []*entry{{l: new(Listener), interval: time.Second}}}
		p.look(time.Now())
	})
}

// The kernel compares 32 bits, which must be those that change with every
// element.
func TestWordsAreLowHalves(t *testing.T) {
	header := make([]uint64, shmstream.HeaderSize/8)
	header[shmstream.WCOffset/8], header[shmstream.EpochOffset/8] = 0x1122334455667788, 0x99aabbccddeeff00
	region := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(header))), shmstream.HeaderSize)
	if wc, epoch := Words(region); *wc != 0x55667788 || *epoch != 0xddeeff00 {
		t.Errorf("words %#x and %#x, want the low halves", *wc, *epoch)
	}
}
