package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mount is a file system to mount: its type is also its source.
type mount struct {
	target, kind string
	flags        uintptr
	data         string
	optional     bool // left out where the kernel does not know it
}

// basic is what every system has.
var basic = []mount{
	{"/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755", false},
	{"/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777", false},
}

// muen is what a subject of Muen has: its channels and the doorbells of their
// readers, each by a kernel module.
var muen = []mount{
	{"/muenfs", "muenfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", true},
	{"/muenevents", "muenevents", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", true},
}

// mountAll mounts file systems; one that is there already counts as mounted. An
// error of one does not keep it from the others.
func mountAll(mounts []mount) (err error) {
	for _, m := range mounts {
		if e := m.mount(); e != nil {
			err = errors.Join(err, fmt.Errorf("mount %s on %s: %w", m.kind, m.target, e))
		}
	}
	return err
}

func (m mount) mount() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	err := unix.Mount(m.kind, m.target, m.kind, m.flags, m.data)
	switch {
	case err == unix.EBUSY:
		return nil
	case err == unix.ENODEV && m.optional:
		return os.Remove(m.target)
	}
	return err
}
