package shortage

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Is reports whether err says that descriptors or memory have run out.
func Is(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)
}

// Explain adds to an error about descriptors which limit was met and how to raise
// it. Other errors, and nil, it returns as they are.
func Explain(err error) error {
	var explained *Error
	switch {
	case errors.As(err, &explained):
		return err
	case errors.Is(err, unix.EMFILE):
		return &Error{Err: err, Limit: limit()}
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: the system has no more of them: raise it with \"sysctl fs.file-max\"", err)
	}
	return err
}

// Error is an error that wraps EMFILE, with the limit.
type Error struct {
	Err   error
	Limit uint64 // RLIMIT_NOFILE: how many descriptors the process may have open
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: this process may have %d: raise it with LimitNOFILE= of the service, or \"ulimit -n\"", e.Err, e.Limit)
}

func (e *Error) Unwrap() error { return e.Err }

// limit is the soft limit, which the Go runtime has raised to the hard one when
// the process started.
func limit() uint64 {
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l) // cannot fail: the address is good
	return l.Cur
}

// Descriptors reports whether the process can open n more descriptors now. If not
// the error wraps EMFILE and says how many it may have.
func Descriptors(n int) (err error) {
	held := make([]int, 0, n)
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for range n {
		var fd int
		if len(held) == 0 {
			fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
		} else {
			fd, err = unix.FcntlInt(uintptr(held[0]), unix.F_DUPFD_CLOEXEC, 0)
		}
		if err != nil {
			return Explain(fmt.Errorf("%d more descriptors are needed: %w", n, err))
		}
		held = append(held, fd)
	}
	return nil
}
