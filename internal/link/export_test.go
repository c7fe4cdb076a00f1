package link

import "golang.org/x/sys/unix"

// Shrink gives the socket of w room for a few events only.
func (w *Watcher) Shrink() {
	_ = w.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	})
}
