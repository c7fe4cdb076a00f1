package doorbell

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/shmstream"
)

// Operations of futex(2) and flags of futex_waitv(2), include/uapi/linux/futex.h.
const (
	futexWait        = 0
	futexWake        = 1
	futexPrivate     = 0x80
	futex2SizeU32    = 0x02
	futex2Private    = futexPrivate
	futexWaitersMost = 1<<31 - 1
)

// waitv is struct futex_waitv.
type waitv struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

// Words returns the two words of a channel that are rung: the low halves of WC
// and of Epoch. The region must be aligned to 8 bytes and hold a header.
// Machines that muennet runs on are little-endian: the low half comes first.
func Words(region []byte) (wc, epoch *uint32) {
	return (*uint32)(unsafe.Pointer(&region[shmstream.WCOffset])), (*uint32)(unsafe.Pointer(&region[shmstream.EpochOffset]))
}

// Ring wakes everybody who waits on word, in any process that maps it, and
// returns how many there were. It is one system call and changes no memory.
func Ring(word *uint32) int {
	return wake(word, futexWake)
}

func wake(word *uint32, op uintptr) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), op, futexWaitersMost, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// cause is why a sleep ended.
type cause uint8

const (
	changed     cause = iota // a word no longer had the value seen: nothing slept
	rung                     // somebody woke a shared word
	interrupted              // Interrupt
	timedOut
)

// futex sleeps until one of two shared words or its own private one is woken
// or differs from what was seen.
type futex struct {
	private uint32 // 1 = interrupted
	args    [3]waitv
	old     bool // kernel without futex_waitv (before Linux 5.16)
}

// oldInterval bounds one sleep on kernels without futex_waitv, where the
// private word cannot be waited on together with the shared one.
const oldInterval = 50 * time.Millisecond

func (f *futex) interrupt() {
	atomic.StoreUint32(&f.private, 1)
	wake(&f.private, futexWake|futexPrivate)
}

// sleep blocks for at most d. The words are those of the channel, with the
// values read before the caller last looked for work.
func (f *futex) sleep(wc, epoch *uint32, seenWC, seenEpoch uint32, d time.Duration) cause {
	if f.old {
		return f.sleepOld(wc, seenWC, d)
	}
	f.args[0] = waitv{val: uint64(seenWC), addr: uint64(uintptr(unsafe.Pointer(wc))), flags: futex2SizeU32}
	f.args[1] = waitv{val: uint64(seenEpoch), addr: uint64(uintptr(unsafe.Pointer(epoch))), flags: futex2SizeU32}
	f.args[2] = waitv{val: 0, addr: uint64(uintptr(unsafe.Pointer(&f.private))), flags: futex2SizeU32 | futex2Private}
	var until unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &until); err != nil {
		return timedOut
	}
	until = unix.NsecToTimespec(until.Nano() + int64(d))
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&f.args[0])), uintptr(len(f.args)), 0,
		uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	if atomic.CompareAndSwapUint32(&f.private, 1, 0) {
		return interrupted
	}
	switch errno {
	case 0:
		if n == 2 {
			return interrupted
		}
		return rung
	case unix.ENOSYS, unix.EPERM: // EPERM: a seccomp filter that does not know the call
		f.old = true
		return changed
	default:
		return classify(errno)
	}
}

func (f *futex) sleepOld(wc *uint32, seenWC uint32, d time.Duration) cause {
	if atomic.CompareAndSwapUint32(&f.private, 1, 0) {
		return interrupted
	}
	rel := unix.NsecToTimespec(int64(min(d, oldInterval)))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(wc)), futexWait, uintptr(seenWC),
		uintptr(unsafe.Pointer(&rel)), 0, 0)
	if atomic.CompareAndSwapUint32(&f.private, 1, 0) {
		return interrupted
	}
	if errno == 0 {
		return rung
	}
	return classify(errno)
}

func classify(errno syscall.Errno) cause {
	switch errno {
	case unix.EAGAIN, unix.EINTR:
		return changed
	case unix.ETIMEDOUT:
		return timedOut
	default:
		// EFAULT: the region shrank under the mapping. The next look at the
		// channel faults and is dealt with there; until then do not spin.
		time.Sleep(time.Millisecond)
		return timedOut
	}
}
