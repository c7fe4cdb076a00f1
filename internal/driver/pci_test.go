package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// Both channels are windows of one ivshmem device: traffic in and out, without
// futexes, and the kind of memory in the state.
func TestInterfaceOverDevice(t *testing.T) {
	dir, inside := testnet.PCI(t)
	if !inside {
		return
	}
	l := newLab(t)
	memory := testnet.Ivshmem(t, dir, "0000:00:04.0", 128<<10)

	d := l.driver()
	i := netHdr("net0")
	i.In, i.Out = "pci:00:04.0@0+64K", "pci:0000:00:04.0@64K+64K"
	l.mustLoad(d, i)
	l.up(d, "net0")
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	s := status(t, d)
	for which, c := range map[string]api.Channel{"reader": s.Reader.Channel, "writer": s.Writer.Channel} {
		if c.Region != memory || c.RegionSize != 64<<10 || c.Memory != "pci" || !strings.Contains(c.Mapping, "reads ") || c.Doorbell != "polling" {
			t.Errorf("%s: %+v", which, c)
		}
	}

	p := l.peer(i.In)
	p.start()
	l.arrives(p, socket, 1)
	next := l.reader(i.Out)
	l.send("net0", packet(2))
	testnet.Eventually(t, "packet in the out-channel", func() bool {
		got, result := next()
		return result == shmstream.Success && bytes.Equal(got.Data, packet(2))
	})

	// A second writer of a window that overlaps it, by another name.
	j := netHdr("net1")
	j.In, j.Out = "", "pci:00:04.0@65528+4K"
	if _, err := l.load(d, j); err == nil || !strings.Contains(err.Error(), filepath.Dir(memory)) || !strings.Contains(err.Error(), "another writer holds it") {
		t.Errorf("two writers of one window: %v", err)
	}
}

// Accesses to the memory of a removed device do not fault. The driver notices
// it all the same, and does not use a new device in its place.
func TestInterfaceOverRemovedDevice(t *testing.T) {
	dir, inside := testnet.PCI(t)
	if !inside {
		return
	}
	l := newLab(t)
	const address = "0000:00:04.0"
	testnet.Ivshmem(t, dir, address, 128<<10)
	d := l.driver()
	i := netHdr("net0")
	i.In, i.Out = "pci:00:04.0@0+64K", "pci:00:04.0@64K+64K"
	l.mustLoad(d, i)
	l.up(d, "net0")
	p := l.peer(i.In)
	p.start()
	testnet.Eventually(t, "the peer is active", func() bool { return status(t, d).Reader.Peer == "active" })

	for range 2 { // also when it is set up again
		must(t, os.RemoveAll(filepath.Join(dir, address)))
		testnet.Eventually(t, "both directions stopped", func() bool {
			s := status(t, d)
			return strings.Contains(s.Reader.Error, "removed") && strings.Contains(s.Writer.Error, "removed") &&
				s.Reader.Peer == "inactive" && s.Writer.Epoch == "0x0"
		})
		testnet.Ivshmem(t, dir, address, 128<<10) // another device
		l.ns.MustRun("ip", "link", "set", "net0", "down")
		l.ns.MustRun("ip", "link", "set", "net0", "up")
	}
	must(t, d.Unload("net0"))
	l.mustLoad(d, i)
	l.up(d, "net0")
	if s := status(t, d); s.Reader.Error+s.Writer.Error != "" {
		t.Errorf("loaded anew: %q, %q", s.Reader.Error, s.Writer.Error)
	}
}
