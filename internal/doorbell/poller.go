package doorbell

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller watches the words of all channels of a process that have been quiet
// for a while and whose writers do not ring. One goroutine that wakes up every
// millisecond costs about the same for one channel as for a hundred; a hundred
// goroutines that do so cost a hundred times as much.
type poller struct {
	mu      sync.Mutex
	entries []*entry
	running bool
}

// entry is a sleeping Listener.
type entry struct {
	l         *Listener
	wc, epoch uint32 // as seen before the sleep
	interval  time.Duration
	next      time.Time
}

// quiet is the process's poller.
var quiet poller

// add watches the words of a Listener. When they change, the poller sets its
// polled flag and interrupts it.
func (p *poller) add(e *entry) {
	e.next = time.Now().Add(e.interval)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(p.entries, e)
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *poller) remove(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.entries, e); i >= 0 {
		p.entries = slices.Delete(p.entries, i, i+1)
	}
}

// run polls until there are no entries left.
func (p *poller) run() {
	for {
		now := time.Now()
		next, more := p.look(now)
		if !more {
			return
		}
		doze(next.Sub(now))
	}
}

// Crowded reports whether GOMAXPROCS is so small that a goroutine blocked in a
// system call holds up others by keeping its P.
func Crowded() bool { return runtime.GOMAXPROCS(0) < crowdedProcs }

// doze sleeps for d. It hides short sleeps from Go's scheduler, which would
// wake its monitor or another thread for each: at 1000 sleeps per second that
// is two thirds of all work. The cost is that the goroutine keeps its P, which
// a program with few Ps cannot spare. It does not delay others otherwise:
// stopping the world sends a signal, which ends the sleep.
func doze(d time.Duration) {
	if d <= 0 {
		return
	}
	if d > maxDoze || Crowded() {
		time.Sleep(d)
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// look checks the entries that are due and returns when the next one is due.
// Without entries it stops the poller.
func (p *poller) look(now time.Time) (next time.Time, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.entries {
		if !now.Before(e.next) {
			e.next = now.Add(e.interval)
			if e.l.words.differ(e.wc, e.epoch) {
				e.wake()
			}
		}
		if next.IsZero() || e.next.Before(next) {
			next = e.next
		}
	}
	p.running = len(p.entries) > 0
	return next, p.running
}

func (e *entry) wake() {
	e.l.polled.Store(true)
	e.l.Interrupt()
}
