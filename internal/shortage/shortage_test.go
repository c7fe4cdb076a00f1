package shortage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

func TestIs(t *testing.T) {
	for err, want := range map[error]bool{
		nil:                                   false,
		unix.EMFILE:                           true,
		unix.ENOBUFS:                          true,
		unix.ENOENT:                           false,
		unix.EPERM:                            false,
		fmt.Errorf("open x: %w", unix.ENFILE): true,
		&fs.PathError{Op: "open", Path: "x", Err: unix.ENOMEM}: true,
	} {
		if got := shortage.Is(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	err := shortage.Explain(fmt.Errorf("open x: %w", unix.EMFILE))
	want := fmt.Sprintf("open x: too many open files: this process may have %d:", l.Cur)
	if !errors.Is(err, unix.EMFILE) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s...", err, want)
	}
	if again := shortage.Explain(fmt.Errorf("load: %w", err)); strings.Count(again.Error(), "may have") != 1 {
		t.Errorf("explained twice: %v", again)
	}
	if err := shortage.Explain(unix.ENFILE); !errors.Is(err, unix.ENFILE) || !strings.Contains(err.Error(), "fs.file-max") {
		t.Error(err)
	}
	for _, err := range []error{nil, unix.ENOENT} {
		if got := shortage.Explain(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestDescriptors(t *testing.T) {
	if err := shortage.Descriptors(10); err != nil {
		t.Error(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = 20
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	most := 20
	for most > 0 && shortage.Descriptors(most) != nil {
		most--
	}
	again, more := shortage.Descriptors(most), shortage.Descriptors(most+1)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if most < 1 || again != nil || !errors.Is(more, unix.EMFILE) || !strings.Contains(more.Error(), "may have 20:") {
		t.Errorf("%d are free, again %v, one more %v", most, again, more)
	}
}
