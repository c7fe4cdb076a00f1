package driver

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// Both channels are windows of one ivshmem device: traffic in and out, without
// futexes, and the kind of memory in the state.
func TestInterfaceOverDevice(t *testing.T) {
	l := newLab(t)
	before := region.PCIDevices
	region.PCIDevices = t.TempDir()
	t.Cleanup(func() { region.PCIDevices = before })
	memory := testnet.Ivshmem(t, region.PCIDevices, "0000:00:04.0", 128<<10)

	d := l.driver()
	i := netHdr("net0")
	i.In, i.Out = "pci:00:04.0@0+64K", "pci:0000:00:04.0@64K+64K"
	l.mustLoad(d, i)
	l.up(d, "net0")
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	s := status(t, d)
	for which, c := range map[string]Channel{"reader": s.Reader.Channel, "writer": s.Writer.Channel} {
		if c.Region != memory || c.RegionSize != 64<<10 || c.Memory != "pci" || !strings.Contains(c.Mapping, "reads ") || c.Doorbell != "polling" {
			t.Errorf("%s: %+v", which, c)
		}
	}

	p := l.peer(i.In)
	p.start()
	l.arrives(p, socket, 1)
	next := l.reader(i.Out)
	l.send("net0", packet(2))
	until(t, "packet in the out-channel", func() bool {
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
