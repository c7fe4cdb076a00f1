package link

import "golang.org/x/sys/unix"

// WatchLossy is Watch with a receive buffer of a few events. lost returns how
// often events were lost so far, and may be called after stop.
func WatchLossy(netnsFD int, f func(Event)) (stop func(), lost func() int, err error) {
	w, err := newWatcher(netnsFD, f)
	if err != nil {
		return nil, nil, err
	}
	err = w.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	})
	if err != nil {
		return nil, nil, err
	}
	states, err := w.handle.List()
	if err != nil {
		return nil, nil, err
	}
	go w.run(states)
	return w.stop, func() int { return w.relists }, nil
}
