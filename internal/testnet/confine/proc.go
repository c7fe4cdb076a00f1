package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// arrange changes /proc in the mount namespace of the process, which is its
// own.
func (p Proc) arrange() error {
	var err error
	switch p {
	case ProcNoNetNS:
		err = hideNetNS()
	case ProcNotMounted:
		err = unix.Unmount("/proc", unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("arrange /proc: %w", err)
	}
	if p == ProcFull {
		return nil
	}
	const own = "/proc/thread-self/ns/net"
	if err := unix.Access(own, unix.F_OK); err != unix.ENOENT {
		return fmt.Errorf("arrange /proc: %s: error %w, want ENOENT", own, err)
	}
	return nil
}

// hideNetNS makes /proc a directory with links into the real one, but none to
// processes and threads other than the process itself.
func hideNetNS() error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/proc", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open tree: %w", err)
	}
	defer unix.Close(tree)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	const inside = "/proc/.real"
	if err := os.Mkdir(inside, 0o755); err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, inside, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move mount: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "thread-self" && strings.Trim(name, "0123456789") != "" {
			err = errors.Join(err, os.Symlink(".real/"+name, "/proc/"+name))
		}
	}
	return err
}
