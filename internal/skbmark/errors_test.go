package skbmark

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		err  error
		want error // nil = unchanged
	}{
		{unix.EPERM, ErrPermission},
		{unix.ENOSYS, ErrUnsupported},
		{ebpf.ErrNotSupported, ErrUnsupported},
		{&ebpf.VerifierError{Cause: unix.EINVAL}, ErrUnsupported},
		{unix.ENOMEM, nil},
		{unix.EMFILE, nil},
		{&ebpf.VerifierError{Cause: unix.ENOMEM}, nil},
	} {
		cause := fmt.Errorf("load program: %w", test.err)
		got := explain(cause, "5.12 (something)")
		if !errors.Is(got, test.err) {
			t.Errorf("%v: the cause is lost in %v", test.err, got)
		}
		if test.want == nil {
			if got != cause {
				t.Errorf("%v became %v", test.err, got)
			}
			continue
		}
		if !errors.Is(got, test.want) {
			t.Errorf("%v became %v, want %v", test.err, got, test.want)
		}
		if test.want == ErrUnsupported && !strings.Contains(got.Error(), "Linux "+release()+" is running, this needs 5.12 (something)") {
			t.Errorf("versions are not in %v", got)
		}
	}
}
