package datapath

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/doorbell"
)

// Device is what the forwarders need of a TUN/TAP device.
type Device interface {
	// Read takes one packet and says which queue it was in; unix.EAGAIN when
	// there is none.
	Read(p []byte) (n, queue int, err error)
	// Write hands one packet to the kernel.
	Write(p []byte) (int, error)
	// Writev is Write with a packet in parts.
	Writev(parts [][]byte) (int, error)
	// Wait calls ready, and again each time the device has something to read,
	// until ready returns true.
	Wait(ready func() bool) error
	// Interrupt makes Wait return an error until Resume.
	Interrupt() error
	// Resume lets Wait wait again.
	Resume() error
}

// burstSize is how many packets are carried before the doorbell is rung, state
// is looked at and other goroutines get their turn.
const burstSize = 64

// maxPacket is the longest packet a device can hand over: 65535 bytes of MTU
// with an Ethernet header and a VLAN tag, rounded up.
const maxPacket = 65536 + 64

// Reason is why a packet was dropped outside the element formats, which have
// reasons of their own.
type Reason uint8

const (
	// NoChannel: the interface has no out-channel.
	NoChannel Reason = iota
	// Inactive: the writer is not running.
	Inactive
	// DeviceDown: the interface was down when the packet came.
	DeviceDown
	// DeviceRefused: the kernel did not take the packet.
	DeviceRefused
	// ExceedsPMTU: the packet was longer than the path of its mark allows, and
	// must not be cut.
	ExceedsPMTU
	// BadOffload: the device handed over a packet that cannot be cut, or whose
	// checksum cannot be completed, the way its header says.
	BadOffload
	// NumReasons is how many there are.
	NumReasons = iota
)

var reasonNames = [NumReasons]string{"no_channel", "inactive", "device_down", "device_refused", "exceeds_pmtu", "bad_offload"}

// String returns one lower-case word, fit for the key of a counter.
func (r Reason) String() string { return reasonNames[r] }

// refusal classifies an error of Device.Write.
func refusal(err error) Reason {
	if errors.Is(err, unix.EIO) { // tun_get_user: the interface is not up
		return DeviceDown
	}
	return DeviceRefused
}

// turn is a goroutine's time on its place, of which GOMAXPROCS says how many
// there are. The zero turn begins when it is first asked to end.
type turn struct{ begun time.Duration }

// mostTurn is less than the 10 ms (forcePreemptNS of runtime/proc.go) after which
// Go's monitor interrupts a goroutine, or takes its place away while it is in a
// system call. Each time it does so, it looks after the others every 20 µs for
// a while: 7,000 times per second, as measured.
const mostTurn = 5 * time.Millisecond

// end lets other goroutines run: always where there are few places for them, and
// now and then where there are enough. Each time another thread is woken to go on
// with this one, hence not more often.
func (t *turn) end() {
	if doorbell.Crowded() || t.over(clock()) {
		runtime.Gosched()
	}
}

// over reports whether the turn is, and if so begins the next one.
func (t *turn) over(now time.Duration) bool {
	if now-t.begun < mostTurn {
		return false
	}
	t.begun = now
	return true
}

// waitFor waits until the condition is true, but not longer than d. Whoever
// changes what the condition depends on broadcasts; the caller holds the lock.
func waitFor(change *sync.Cond, d time.Duration, condition func() bool) {
	over := false
	timer := time.AfterFunc(d, func() {
		change.L.Lock()
		defer change.L.Unlock()
		over = true
		change.Broadcast()
	})
	defer timer.Stop()
	for !over && !condition() {
		change.Wait()
	}
}

// yield lets other goroutines run, and other threads of the machine: the peer,
// and the programs at both ends, may be waiting for this very processor.
func yield() {
	if doorbell.Crowded() {
		runtime.Gosched()
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
}
