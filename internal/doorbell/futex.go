package doorbell

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2) and flags of futex_waitv(2),
// include/uapi/linux/futex.h.
const (
	futexWait     = 0
	futexWake     = 1
	futexPrivate  = 0x80
	futex2SizeU32 = 0x02
	futex2Private = futexPrivate
	futexWakeAll  = 1<<31 - 1
)

// waitv is struct futex_waitv.
type waitv struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

// Ring wakes all waiters on word, in any process that maps it, and returns
// their number. It is one system call and changes no memory. Writers of
// channels use a [Ringer]; Ring is for programs without one.
func Ring(word *uint32) int {
	n, _ := wake(word, futexWake)
	return n
}

func wake(word *uint32, op uintptr) (woken int, errno syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), op, futexWakeAll, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// futex sleeps until one of the two shared words or its own private word is
// woken, or differs from the value seen. Where futexes turn out not to work it
// becomes a nap.
type futex struct {
	nap
	words words
	args  [3]waitv
	old   bool // no futex_waitv: before Linux 5.16
}

func (f *futex) name() string { return futexName }

// prompt is false on kernels without futex_waitv, where an interrupt may be
// late.
func (f *futex) prompt() bool { return !f.old || !f.usable() }

func (f *futex) sleep(seenWC, seenEpoch uint32, d time.Duration) cause {
	switch {
	case !f.usable():
		return f.nap.sleep(seenWC, seenEpoch, d)
	case f.old:
		return f.sleepOld(seenWC, seenEpoch, d)
	}
	f.args[0] = waitv{val: uint64(seenWC), addr: uint64(uintptr(unsafe.Pointer(f.words.wc))), flags: futex2SizeU32}
	f.args[1] = waitv{val: uint64(seenEpoch), addr: uint64(uintptr(unsafe.Pointer(f.words.epoch))), flags: futex2SizeU32}
	f.args[2] = waitv{val: 0, addr: uint64(uintptr(unsafe.Pointer(&f.word))), flags: futex2SizeU32 | futex2Private}
	var until unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &until); err != nil {
		return timedOut
	}
	until = unix.NsecToTimespec(until.Nano() + int64(d))
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&f.args[0])), uintptr(len(f.args)), 0,
		uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	if f.takeInterrupt() {
		return interrupted
	}
	switch errno {
	case 0:
		if n == 2 {
			return interrupted
		}
		return rung
	case unix.ENOSYS, unix.EPERM: // EPERM: a seccomp filter without this call
		f.old = true
		return changed
	default:
		return f.classify(errno, seenWC, seenEpoch, d)
	}
}

func (f *futex) sleepOld(seenWC, seenEpoch uint32, d time.Duration) cause {
	if f.takeInterrupt() {
		return interrupted
	}
	rel := unix.NsecToTimespec(int64(min(d, oldInterval)))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(f.words.wc)), futexWait, uintptr(seenWC),
		uintptr(unsafe.Pointer(&rel)), 0, 0)
	if f.takeInterrupt() {
		return interrupted
	}
	if errno == 0 {
		return rung
	}
	return f.classify(errno, seenWC, seenEpoch, d)
}

// classify handles a sleep that ended neither by a ring nor by an interrupt.
func (f *futex) classify(errno syscall.Errno, seenWC, seenEpoch uint32, d time.Duration) cause {
	switch errno {
	case unix.EAGAIN, unix.EINTR:
		return changed
	case unix.ETIMEDOUT:
		return timedOut
	case unix.EFAULT:
		// Either the region shrank under the mapping, which the caller
		// notices at its next look. Or the memory is mapped by page
		// frame number: it has no struct pages by which the kernel
		// could find a shared futex, and never will.
		if f.words.readable() {
			f.disable(errNoFutex)
		}
		return changed
	default: // such as ENOMEM: try again later
		return f.nap.sleep(seenWC, seenEpoch, min(d, oldInterval))
	}
}
