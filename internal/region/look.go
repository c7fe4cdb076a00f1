package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What happened to the file of a region. The region itself continues to work.
var (
	// ErrUnlinked says that the file no longer exists under its name.
	ErrUnlinked = errors.New("its file was removed")
	// ErrReplaced says that opening the region again would map other
	// memory.
	ErrReplaced = errors.New("its file was replaced")
)

// Look checks the file or the device of the region. It returns nil if nothing
// has changed, [ErrUnlinked], [ErrReplaced], an [ErrFault] if the region is
// incomplete, or the error of the check. It costs one lstat(2), for a device
// two stat(2), and may be called at any time.
func (r *Region) Look() error {
	if r.kind == PCI {
		return r.Intact()
	}
	r.mu.Lock()
	closed := r.fd < 0
	r.mu.Unlock()
	if closed {
		return fmt.Errorf("look at channel %s: %w", r.name, os.ErrClosed)
	}
	var st unix.Stat_t
	err := retry(func() error { return unix.Lstat(r.spec.Path, &st) })
	switch {
	case errors.Is(err, fs.ErrNotExist), err == unix.ENOTDIR:
		if _, err := os.Stat(filepath.Dir(r.spec.Path)); err != nil {
			return fmt.Errorf("%w: its directory is gone", ErrUnlinked)
		}
		return ErrUnlinked
	case err != nil:
		return fmt.Errorf("look at %s: %w", r.spec.Path, err)
	case idOf(&st) != r.id:
		return ErrReplaced
	}
	if err := r.covered(st.Size); err != nil {
		return err
	}
	// A writer may use only part of a file, but its reader needs all of it.
	if r.kind == Plain && r.access != ReadWrite && !r.spec.Windowed && st.Size > int64(len(r.bytes)) {
		return fmt.Errorf("%w: it has %d bytes now instead of %d", ErrReplaced, st.Size, len(r.bytes))
	}
	return nil
}
