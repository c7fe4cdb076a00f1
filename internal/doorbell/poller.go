package doorbell

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller looks at the words of all channels of a process that have been quiet
// for a while and whose writers do not ring. One goroutine that wakes up every
// millisecond costs as much for a hundred channels as for one; a hundred that
// sleep for themselves cost a hundred times that.
type poller struct {
	mu      sync.Mutex
	entries []*entry
	running bool
}

// entry is a Listener that sleeps.
type entry struct {
	l         *Listener
	wc, epoch uint32 // as seen before the sleep
	interval  time.Duration
	next      time.Time
}

// quiet is the process's poller.
var quiet poller

// add has a Listener interrupted, with polled set, when its words change.
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

// run looks until there is nothing left to look at.
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

// Crowded reports whether the program has so few places for goroutines
// (GOMAXPROCS) that one which waits in a system call is in the way of others.
func Crowded() bool { return runtime.GOMAXPROCS(0) < crowdedProcs }

// doze sleeps, a short time without telling Go's scheduler. That one would wake
// its monitor, or another thread, for each sleep: at 1000 sleeps per second two
// thirds of all work. The price is one of the GOMAXPROCS places: a program that
// has few of them cannot spare it. It costs nobody else time: who wants to stop
// the world sends a signal, which ends the sleep.
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

// look looks at the entries whose time has come and returns when the next one's
// comes. Without entries the poller stops running.
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
