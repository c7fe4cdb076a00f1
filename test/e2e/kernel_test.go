package e2e

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet/confine"
)

// without refuses system calls as a kernel does that was built without them.
func without(calls ...int) *confine.Spec {
	s := new(confine.Spec)
	for _, c := range calls {
		s.Refuse = append(s.Refuse, confine.Refusal{Call: c, Errno: unix.ENOSYS})
	}
	return s
}

// withoutFamily refuses sockets of an address family.
func withoutFamily(family uint32) *confine.Spec {
	return &confine.Spec{Refuse: []confine.Refusal{{
		Call: unix.SYS_SOCKET, Errno: unix.EAFNOSUPPORT, If: &confine.Argument{Number: 0, Value: family},
	}}}
}

// What docs/muen.md says of a kernel's options: interfaces, children, following
// and adoption work without these.
func TestKernelOptionsNotNeeded(t *testing.T) {
	begin(t)
	for option, spec := range map[string]*confine.Spec{
		"BPF_SYSCALL":     without(unix.SYS_BPF),
		"futex_waitv":     without(unix.SYS_FUTEX_WAITV),
		"MEMBARRIER":      without(unix.SYS_MEMBARRIER),
		"TIMERFD":         without(unix.SYS_TIMERFD_CREATE),
		"SIGNALFD":        without(unix.SYS_SIGNALFD4),
		"MEMFD_CREATE":    without(unix.SYS_MEMFD_CREATE),
		"pidfd":           without(unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL),
		"fallocate":       without(unix.SYS_FALLOCATE),
		"INOTIFY_USER":    without(unix.SYS_INOTIFY_INIT1),
		"IO_URING":        without(unix.SYS_IO_URING_SETUP),
		"ADVISE_SYSCALLS": without(unix.SYS_MADVISE, unix.SYS_FADVISE64),
		"POSIX_TIMERS":    without(unix.SYS_TIMER_CREATE, unix.SYS_SETITIMER),
		"AIO":             without(unix.SYS_IO_SETUP),
		"PERF_EVENTS":     without(unix.SYS_PERF_EVENT_OPEN),
		"PACKET":          withoutFamily(unix.AF_PACKET),
		"INET6":           withoutFamily(unix.AF_INET6),
	} {
		t.Run(option, func(t *testing.T) { testLifeConfined(t, spec).must("unload") })
	}
}

// What is needed, and what the error that says so where it is missing is about.
// The first two are the Go runtime's own.
func TestKernelOptionsNeeded(t *testing.T) {
	begin(t)
	for option, row := range map[string]struct {
		spec *confine.Spec
		want string
	}{
		"EVENTFD":      {without(unix.SYS_EVENTFD2), "eventfd"},
		"EPOLL":        {without(unix.SYS_EPOLL_CREATE1), "epoll"},
		"FILE_LOCKING": {without(unix.SYS_FLOCK), "lock"},
		"UNIX":         {withoutFamily(unix.AF_UNIX), "control"},
		"NETLINK":      {withoutFamily(unix.AF_NETLINK), "netlink"},
	} {
		t.Run(option, func(t *testing.T) {
			h := newHost(t, makeChannels(t, "a", "b"))
			h.confine(row.spec)
			r := h.muennet("run", "name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
			if r.code == 0 || !strings.Contains(r.stderr, row.want) {
				t.Errorf("exit code %d, error %q; want one about %q", r.code, r.stderr, row.want)
			}
			if left := h.Names(); len(left) != 0 {
				t.Errorf("%q are left", left)
			}
		})
	}
}
