package tuntap_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// namespace returns a quiet namespace, in a test that may leave nothing behind.
func namespace(t testing.TB) *testnet.NS {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	ns.Quiet()
	return ns
}

// tryOpen opens a device in a namespace.
func tryOpen(ns *testnet.NS, cfg tuntap.Config) (dev *tuntap.Device, err error) {
	ns.Do(func() { dev, err = tuntap.Open(cfg) })
	return dev, err
}

// open opens a device in a namespace and brings it up.
func open(t testing.TB, ns *testnet.NS, cfg tuntap.Config) *tuntap.Device {
	t.Helper()
	dev, err := tryOpen(ns, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() }) // os.ErrClosed if the test did it
	if err := ns.Link().SetUp(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	return dev
}

func index(t testing.TB, dev *tuntap.Device) int {
	t.Helper()
	i, err := dev.Index()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func name(t testing.TB, dev *tuntap.Device) string {
	t.Helper()
	n, err := dev.Name()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func netns(t testing.TB, dev *tuntap.Device) uint64 {
	t.Helper()
	fd, err := dev.NetNS()
	if err != nil {
		t.Fatal(err)
	}
	defer os.NewFile(uintptr(fd), "netns").Close()
	return link.NSID(fd)
}

func state(t testing.TB, ns *testnet.NS, index int) link.State {
	t.Helper()
	s, err := ns.Link().ByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read waits for the next packet of the device.
func read(t testing.TB, dev *tuntap.Device, buf []byte) []byte {
	t.Helper()
	guard := time.AfterFunc(testnet.Patience, func() { _ = dev.Interrupt() })
	defer guard.Stop()
	var n int
	var err error
	waitErr := dev.Wait(func() bool {
		n, _, err = dev.Read(buf)
		return err != tuntap.ErrAgain
	})
	if waitErr != nil || err != nil {
		t.Fatalf("wait: %v, read: %v", waitErr, err)
	}
	return buf[:n]
}

func write(t testing.TB, dev *tuntap.Device, packet []byte) {
	t.Helper()
	if n, err := dev.Write(packet); n != len(packet) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(packet), err)
	}
}

// exchange sends a packet both ways, and wants it to arrive as it is. header
// goes before it on the side of the device.
func exchange(t testing.TB, dev *tuntap.Device, sock *testnet.PacketSocket, header, packet, buf []byte) {
	t.Helper()
	onDevice := append(bytes.Clone(header), packet...)
	write(t, dev, onDevice)
	got, err := sock.Recv(testnet.Patience)
	if err != nil || !bytes.Equal(got, packet) {
		t.Fatalf("to the network: %x, error %v; want %x", got, err, packet)
	}
	if err := sock.Send(packet); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dev, buf); !bytes.Equal(got, onDevice) {
		t.Fatalf("from the network: %x, want %x", got, onDevice)
	}
}

// ipv4 returns a UDP packet of n bytes, 28 or more.
func ipv4(n int) []byte {
	p := make([]byte, n)
	p[0] = 0x45
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	p[8], p[9] = 64, 17
	copy(p[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	for i := 28; i < n; i++ {
		p[i] = byte(i)
	}
	return p
}

// frame returns an Ethernet frame of n bytes, 14 or more.
func frame(n int) []byte {
	f := make([]byte, n)
	for i := range f {
		f[i] = byte(i)
	}
	copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5})
	return f
}
