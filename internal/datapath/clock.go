package datapath

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/doorbell"
)

// begun is when clock was 0.
var begun = time.Now()

// clock is the time since the process began. Unlike a time.Time it fits into an
// atomic.
func clock() time.Duration { return time.Since(begun) }

// sleep blocks this thread. The runtime's timers would be up to a millisecond
// late on an idle machine, because epoll_wait(2) counts in milliseconds.
func sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}

// yield lets other goroutines and other threads of the machine run. The peer
// and the programs at both ends may be waiting for this very processor.
func yield() {
	if doorbell.Crowded() {
		runtime.Gosched()
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
}

// spent reports whether a busy loop has used up its time: d, by the clock or by
// the number of looks so far. A clock may stand still, as Muen's does within a
// minor frame.
func spent(passed time.Duration, looks int, d time.Duration) bool {
	return passed > d || time.Duration(looks)*minLook > d
}
