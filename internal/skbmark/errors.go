package skbmark

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

// Errors that NewOutgoing, NewIncoming and Incoming.Attach wrap. Packets can
// then be carried without their marks.
var (
	ErrUnsupported = errors.New("not supported by this kernel")
	ErrPermission  = errors.New("not permitted")
)

const permissionHelp = "needs root, or CAP_BPF and CAP_NET_ADMIN, in the initial user namespace"

// explain adds whether the kernel or a permission is the problem. needs names
// the kernel's requirements.
func explain(err error, needs string) error {
	var rejected *ebpf.VerifierError
	switch {
	case shortage.Is(err):
		return err
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %s: %w", ErrPermission, permissionHelp, err)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.ENOSYS), errors.As(err, &rejected):
		return fmt.Errorf("%w: Linux %s is running, this needs %s: %w", ErrUnsupported, release(), needs, err)
	}
	return err
}

// descriptors is how many file descriptors are temporarily needed to load the
// programs of one direction and to probe the kernel's features. If a probe
// finds no descriptor, the library takes that for a missing feature, and
// remembers it for the lifetime of the process.
const descriptors = 8

// release returns the kernel release, like uname -r.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
