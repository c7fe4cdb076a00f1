package cli

import (
	"context"
	"os"
	"os/signal"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopOnSignal returns a context that ends with the first signal that asks for a
// clean end: INT, TERM, and HUP unless the process was started to ignore it, as
// nohup(1) does. More of them change nothing until patience has passed, because a
// clean end takes milliseconds and one cut short leaves interfaces behind.
//
// It is for the rest of the process: a signal on the way out is harmless, too.
func stopOnSignal(patience time.Duration) context.Context {
	ask := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		ask = append(ask, unix.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ask...)
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) })
	return ctx
}

// harmless are the signals that would end the process, or might, and mean nothing
// to a daemon. PIPE is what a closed log pipe raises: without it, writing to
// that is an error like any other.
//
// What is not here: HUP, INT and TERM ask for the end; KILL ends; QUIT, ABRT and
// the signals of a fault (ILL, TRAP, BUS, FPE, SEGV, SYS) end with a stack trace,
// which is why somebody sends them, and leave interfaces as a crash does; STOP,
// TSTP, TTIN, TTOU and CONT are job control; CHLD, URG and WINCH do nothing.
var harmless = []os.Signal{
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM, unix.SIGSTKFLT, unix.SIGXCPU, unix.SIGXFSZ,
	unix.SIGVTALRM, unix.SIGPROF, unix.SIGIO, unix.SIGPWR,
}

// surviveSignals keeps harmless signals from ending the process. Those of the
// real-time range are caught by the Go runtime, but for the first three, which it
// leaves alone for the sake of C libraries.
func surviveSignals() {
	// Caught instead of ignored: an ignored signal stays ignored in a program
	// that is started from here. The channel is full after the first one.
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

// ignoreDefault ignores a signal whose action is the default one. The signals
// that os/signal cannot reach are left.
func ignoreDefault(s uintptr) {
	var a sigaction
	size := unsafe.Sizeof(a.mask)
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, s, 0, uintptr(unsafe.Pointer(&a)), size, 0, 0)
	if errno == 0 && a.handler == sigDefault {
		a = sigaction{handler: sigIgnore}
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&a)), 0, size, 0, 0)
	}
}
