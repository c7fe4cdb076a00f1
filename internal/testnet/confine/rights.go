package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Rights are the user and the capabilities of a program. Another user than root
// has them as ambient capabilities, root because it is root; neither can get
// more. Any user may open /dev/net/tun, as on most systems.
type Rights struct {
	User         int // user and group id
	Capabilities []int
	NoNewPrivs   bool
}

func (r *Rights) take() error {
	var set [2]unix.CapUserData
	for _, c := range r.Capabilities {
		set[c/32].Permitted |= 1 << (c % 32)
	}
	has := func(c int) bool { return set[c/32].Permitted&(1<<(c%32)) != 0 }
	for c := range lastCapability + 1 {
		if has(c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("limit capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := setIDs(r.User); err != nil {
		return err
	}
	for i := range set {
		set[i].Effective = set[i].Permitted
		if r.User != 0 {
			set[i].Inheritable = set[i].Permitted
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &set[0]); err != nil {
		return fmt.Errorf("set capabilities: %w", err)
	}
	for _, c := range r.Capabilities {
		if r.User == 0 {
			break
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("raise capability %d: %w", c, err)
		}
	}
	if r.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}

// lastCapability is more than any kernel has: those that it does not know are
// not limited.
const lastCapability = 63

// openTUN makes /dev/net/tun anew, for everybody, in the mount namespace of the
// process, which is its own.
func openTUN() error {
	const dir, device = "/dev/net", "/dev/net/tun"
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if err := unix.Mknod(device, unix.S_IFCHR, int(unix.Mkdev(10, 200))); err != nil {
		return err
	}
	return unix.Chmod(device, 0o666)
}

// setIDs makes this thread, and no other, another user's, without supplementary
// groups.
func setIDs(user int) error {
	id := uintptr(user)
	for _, call := range []struct {
		number uintptr
		args   [3]uintptr
	}{
		{unix.SYS_SETGROUPS, [3]uintptr{}},
		{unix.SYS_SETRESGID, [3]uintptr{id, id, id}},
		{unix.SYS_SETRESUID, [3]uintptr{id, id, id}},
	} {
		if _, _, errno := unix.RawSyscall(call.number, call.args[0], call.args[1], call.args[2]); errno != 0 {
			return fmt.Errorf("set user and groups: %w", errno)
		}
	}
	return nil
}
