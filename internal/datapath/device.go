package datapath

// Device is what the forwarders need of a TUN/TAP device.
type Device interface {
	// Read reads one packet and returns its length in bytes and its queue. It
	// returns unix.EAGAIN if there is none.
	Read(p []byte) (n, queue int, err error)
	// Write hands one packet to the kernel.
	Write(p []byte) (int, error)
	// Writev hands one packet to the kernel, in parts.
	Writev(parts [][]byte) (int, error)
	// Wait calls ready, and again each time the device has something to read,
	// until ready returns true.
	Wait(ready func() bool) error
	// Interrupt makes Wait return an error until Resume.
	Interrupt() error
	// Resume lets Wait wait again.
	Resume() error
}

// maxPacket is the longest packet of a device in bytes: an MTU of 65535, an
// Ethernet header and a VLAN tag, rounded up.
const maxPacket = 65536 + 64
