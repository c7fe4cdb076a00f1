package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights are the user and the capabilities of a program. Another user than root
// has them as ambient capabilities, root because it is root; neither can get
// more.
type Rights struct {
	User          int // user and group id
	Capabilities  []int
	NoNewPrivs    bool
	Supplementary []int // groups
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
	groups := make([]uint32, len(r.Supplementary)+1)
	groups[0] = uint32(r.User)
	for i, g := range r.Supplementary {
		groups[i+1] = uint32(g)
	}
	if err := setIDs(r.User, groups); err != nil {
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

// setIDs makes this thread, and no other, another user's.
func setIDs(user int, groups []uint32) error {
	id := uintptr(user)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("set groups: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
		return fmt.Errorf("set group: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return fmt.Errorf("set user: %w", errno)
	}
	return nil
}
