package doorbell

import "golang.org/x/sys/unix"

// SetPoll replaces ppoll(2) for new Listeners until restore is called.
func SetPoll(f func([]unix.PollFd, *unix.Timespec) (int, error)) (restore func()) {
	before := ppoll
	ppoll = f
	return func() { ppoll = before }
}
