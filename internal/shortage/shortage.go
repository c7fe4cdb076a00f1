package shortage

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Is reports whether err means that descriptors or memory have run out.
func Is(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)
}

// Explain adds to an error about descriptors which limit was reached and how to
// raise it. It returns other errors, and nil, unchanged.
func Explain(err error) error {
	var explained *Error
	switch {
	case errors.As(err, &explained):
		return err
	case errors.Is(err, unix.EMFILE):
		return &Error{Err: err, Limit: limit()}
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: the system limit is reached: raise it with \"sysctl fs.file-max\"", err)
	}
	return err
}

// Error wraps EMFILE and adds the limit.
type Error struct {
	Err   error
	Limit uint64 // RLIMIT_NOFILE: maximum number of open descriptors of the process
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: this process may have %d: raise it with LimitNOFILE= of the service, or \"ulimit -n\"", e.Err, e.Limit)
}

func (e *Error) Unwrap() error { return e.Err }

// limit returns the soft limit, which the Go runtime has raised to the hard
// limit at startup.
func limit() uint64 {
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l) // cannot fail: the address is valid
	return l.Cur
}

// Descriptors reports whether the process can open n more descriptors now. If
// not, the error wraps EMFILE and contains the limit.
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
			return Explain(fmt.Errorf("open %d more descriptors: %w", n, err))
		}
		held = append(held, fd)
	}
	return nil
}
