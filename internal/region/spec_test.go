package region

import (
	"testing"
)

func TestParseSpec(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Spec
	}{
		{"net0", Spec{Path: "/ch/net0"}},
		{"keyfender|in", Spec{Path: "/ch/keyfender|in"}},
		{"..a", Spec{Path: "/ch/..a"}},
		{"/dev/shm/x", Spec{Path: "/dev/shm/x"}},
		{"/a/../b", Spec{Path: "/b"}},
		{"/run/user@1/x", Spec{Path: "/run/user@1/x"}},
		{"net0@0+4096", Spec{Path: "/ch/net0", Offset: 0, Length: 4096, Windowed: true}},
		{"net0@8+1", Spec{Path: "/ch/net0", Offset: 8, Length: 1, Windowed: true}},
		{"/dev/shm/x@64K+1M", Spec{Path: "/dev/shm/x", Offset: 64 << 10, Length: 1 << 20, Windowed: true}},
		{"a@b@1G+2G", Spec{Path: "/ch/a@b", Offset: 1 << 30, Length: 2 << 30, Windowed: true}},
		{"pci:0000:00:04.0", Spec{Path: "/sys/bus/pci/devices/0000:00:04.0/resource2", PCI: "0000:00:04.0"}},
		{"pci:00:04.0", Spec{Path: "/sys/bus/pci/devices/0000:00:04.0/resource2", PCI: "0000:00:04.0"}},
		{"pci:00000000:00:04.0", Spec{Path: "/sys/bus/pci/devices/0000:00:04.0/resource2", PCI: "0000:00:04.0"}},
		{"pci:10000:AF:1F.7@64K+1M", Spec{Path: "/sys/bus/pci/devices/10000:af:1f.7/resource2", Offset: 64 << 10, Length: 1 << 20, Windowed: true, PCI: "10000:af:1f.7"}},
	} {
		got, err := ParseSpec("/ch", c.in)
		if err != nil || got != c.want {
			t.Errorf("ParseSpec(%q) = %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
}

// Package names tests the rules for names.
func TestParseSpecError(t *testing.T) {
	_, err := ParseSpec("/ch", "a/b")
	wantError(t, err, "", `parse channel "a/b": want a name without '/' or an absolute path`)
}
