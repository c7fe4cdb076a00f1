package doorbell

import (
	"testing"
	"time"
)

// Only memory that has gone is expected to be missing. A mistake of the program's
// shows as what it is.
func TestOnlyFaultsAreTaken(t *testing.T) {
	memory, resize := shrinking(t)
	wc, epoch := Words(memory)
	if !(words{wc, epoch}).there() {
		t.Error("the words are not there")
	}
	resize(0)
	if (words{wc, epoch}).there() {
		t.Error("the words are there although the file is empty")
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
