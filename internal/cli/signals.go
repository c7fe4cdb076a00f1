package cli

import (
	"context"
	"os"
	"os/signal"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopOnSignal returns a context that ends with the first signal that requests
// a clean stop: INT, TERM, and HUP unless the process was started to ignore it,
// as by nohup(1). Until patience has passed, more signals have no effect,
// because a clean stop takes milliseconds and an interrupted one leaves
// interfaces behind.
//
// It stays in effect for the rest of the process.
func stopOnSignal(patience time.Duration) context.Context {
	ask := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		ask = append(ask, unix.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ask...)
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) })
	return ctx
}

// harmless are the signals that would end the process, or might, but have no
// meaning for a daemon. A closed log pipe raises PIPE; without the signal the
// write fails like any other.
//
// Not among them: HUP, INT and TERM request a stop; KILL ends the process;
// QUIT, ABRT and the signals of faults (ILL, TRAP, BUS, FPE, SEGV, SYS) end it
// with a stack trace, and leave interfaces as a crash does; STOP, TSTP, TTIN,
// TTOU and CONT are job control; CHLD, URG and WINCH have no effect.
var harmless = []os.Signal{
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM, unix.SIGSTKFLT, unix.SIGXCPU, unix.SIGXFSZ,
	unix.SIGVTALRM, unix.SIGPROF, unix.SIGIO, unix.SIGPWR,
}

// surviveSignals prevents harmless signals from ending the process. The Go
// runtime catches real-time signals, except for the first three, which it
// leaves to C libraries.
func surviveSignals() {
	// Caught, not ignored: a program started from here would inherit ignored
	// signals. The channel is full after the first one.
	signal.Notify(make(chan os.Signal, 1), harmless...)
	for _, s := range []uintptr{32, 33, 34} {
		ignoreDefault(s)
	}
}

// sigaction is struct sigaction of the kernel on amd64 and arm64
// (include/linux/signal_types.h).
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// Values of sigaction.handler.
const (
	sigDefault = 0
	sigIgnore  = 1
)

// ignoreDefault ignores a signal that has its default action. It is for signals
// that os/signal cannot handle.
func ignoreDefault(s uintptr) {
	var a sigaction
	size := unsafe.Sizeof(a.mask)
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, s, 0, uintptr(unsafe.Pointer(&a)), size, 0, 0)
	if errno == 0 && a.handler == sigDefault {
		a = sigaction{handler: sigIgnore}
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&a)), 0, size, 0, 0)
	}
}
