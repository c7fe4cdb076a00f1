package region

import (
	"path/filepath"
	"strconv"
	"strings"
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

// wrongAddress is the error for a device that is none.
func wrongAddress(s string) string {
	return `device "` + s + `": want pci:BUS:DEV.FN or pci:DOMAIN:BUS:DEV.FN, hexadecimal, such as pci:00:04.0`
}

func TestParseSpecErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "the name is empty"},
		{"@0+64", "the name is empty"},
		{".", "the name is a directory"},
		{"..", "the name is a directory"},
		{"..@0+64", "the name is a directory"},
		{"a/b", "a name holds no '/' (or give an absolute path)"},
		{"../b", "a name holds no '/' (or give an absolute path)"},
		{"a\x00b", "a name holds no NUL byte"},
		{"/a\x00b", "a name holds no NUL byte"},
		{"/a/..", "the path ends with '/': a file is wanted"},
		{"/", "the path ends with '/': a file is wanted"},
		{"/dev/shm/", "the path ends with '/': a file is wanted"},
		{"/dev/shm/@0+64", "the path ends with '/': a file is wanted"},
		{"pci:", wrongAddress("")},
		{"pci:@0+64", wrongAddress("")},
		{"pci:4.0", wrongAddress("4.0")},
		{"pci:00:04", wrongAddress("00:04")},
		{"pci:00:04.8", wrongAddress("00:04.8")},
		{"pci:00:4.0", wrongAddress("00:4.0")},
		{"pci:0:00:04.0", wrongAddress("0:00:04.0")},
		{"pci:0000:00:04.0/resource2", wrongAddress("0000:00:04.0/resource2")},
		{"pci:../00:04.0", wrongAddress("../00:04.0")},
		{"pci:00:20.0", wrongAddress("00:20.0") + ": DEV is 00 to 1f"},
		{"pci:00:04.0@12+64", "window offset 12: want a multiple of 8"},
		{"a@", `window "": want @OFFSET+LENGTH, such as @64K+1M`},
		{"a@64", `window "64": want @OFFSET+LENGTH, such as @64K+1M`},
		{"a@+64", `window offset: size "": want a number with an optional K, M or G, below 2^63`},
		{"a@x+64", `window offset: size "x": want a number with an optional K, M or G, below 2^63`},
		{"a@-8+64", `window offset: size "-8": want a number with an optional K, M or G, below 2^63`},
		{"a@4+64", "window offset 4: want a multiple of 8"},
		{"a@8+", `window length: size "": want a number with an optional K, M or G, below 2^63`},
		{"a@8+0", `window length: size "0": want at least 1`},
		{"a@8+9223372036854775807", `window "8+9223372036854775807": its end does not fit in 63 bits`},
	} {
		_, err := ParseSpec("/ch", c.in)
		if err == nil {
			t.Errorf("ParseSpec(%q) succeeded", c.in)
			continue
		}
		if _, got, _ := strings.Cut(err.Error(), strconv.Quote(c.in)+": "); got != c.want {
			t.Errorf("ParseSpec(%q): %q, want it to end with %q", c.in, err, c.want)
		}
	}
	_, err := ParseSpec("/ch", "a/b")
	wantError(t, err, "", `parse channel "a/b": a name holds no '/' (or give an absolute path)`)
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"1", 1}, {"4096", 4096}, {"64K", 65536}, {"1M", 1 << 20}, {"2G", 2 << 30},
		{"9223372036854775807", 1<<63 - 1}, {"8589934591G", 8589934591 << 30},
	} {
		if got, err := ParseSize(c.in); err != nil || got != c.want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{
		"", "K", "0", "0M", "-1", "+1", " 1", "1 ", "1k", "1KB", "1KiB", "1KK", "0x10", "1_000", "1.5M", "1e3",
		"9223372036854775808", "8589934592G", "18446744073709551615",
	} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"net0", "a|in@8+1M", "/x/y@0+64", "..", "a@b", "/@8+8", "pci:00:04.0", "pci:0001:02:03.4@4K+1M"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := ParseSpec("/ch", s)
		if err != nil {
			if spec != (Spec{}) {
				t.Fatalf("ParseSpec(%q): error %v with a spec %+v", s, err, spec)
			}
			return
		}
		if strings.HasPrefix(s, "pci:") != (spec.PCI != "") || spec.PCI != "" && filepath.Dir(filepath.Dir(spec.Path)) != pciDevices {
			t.Fatalf("ParseSpec(%q): device %q, file %s", s, spec.PCI, spec.Path)
		}
		if !strings.HasPrefix(s, "/") && spec.PCI == "" && strings.LastIndexByte(spec.Path, '/') != len("/ch") {
			t.Fatalf("ParseSpec(%q) leaves the directory: %s", s, spec.Path)
		}
		if spec.Windowed != (spec.Length > 0) || spec.Offset < 0 || spec.Offset%8 != 0 || spec.Offset+spec.Length < spec.Offset {
			t.Fatalf("ParseSpec(%q): window %+v", s, spec)
		}
	})
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "1", 1000: "1000", 1 << 10: "1K", 1536: "1536", 3 << 20: "3M", 1 << 31: "2G", 1<<20 + 1024: "1025K"} {
		if got := formatSize(n); got != want {
			t.Errorf("formatSize(%d) = %s, want %s", n, got, want)
		}
	}
}
