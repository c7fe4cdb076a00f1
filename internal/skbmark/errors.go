package skbmark

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

// Errors that NewOutgoing, NewIncoming and Incoming.Attach wrap. In both cases
// packets can be carried without their marks.
var (
	ErrUnsupported = errors.New("not supported by this kernel")
	ErrPermission  = errors.New("not permitted")
)

const permissionHelp = "needs root, or CAP_BPF and CAP_NET_ADMIN, in the initial user namespace"

// explain says whether the kernel or a permission is missing. needs names what
// the kernel must have.
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

// descriptors is how many of them it takes, for a moment, to load the programs of
// one direction and to find out what the kernel can do. The library takes a probe
// that finds none for a feature that the kernel lacks, and remembers that as long
// as the process runs.
const descriptors = 8

// release returns the kernel version, as uname -r.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
