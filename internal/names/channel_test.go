package names

import (
	"strings"
	"testing"
)

func TestParseChannel(t *testing.T) {
	for in, want := range map[string]Channel{
		"net0":                     {File: "net0"},
		"keyfender|in":             {File: "keyfender|in"},
		"/a/../b":                  {Path: "/b"},
		"/run/user@1/x":            {Path: "/run/user@1/x"},
		"a@b@1G+2G":                {File: "a@b", Offset: 1 << 30, Length: 2 << 30, Windowed: true},
		"/dev/shm/x@64K+1M":        {Path: "/dev/shm/x", Offset: 64 << 10, Length: 1 << 20, Windowed: true},
		"pci:00:04.0":              {PCI: "0000:00:04.0"},
		"pci:10000:AF:1F.7@64K+1M": {PCI: "10000:af:1f.7", Offset: 64 << 10, Length: 1 << 20, Windowed: true},
	} {
		if got, err := ParseChannel(in); err != nil || got != want {
			t.Errorf("ParseChannel(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

// wrongAddress returns the error for an invalid device address.
func wrongAddress(s string) string {
	return `device "` + s + `": want pci:BUS:DEV.FN or pci:DOMAIN:BUS:DEV.FN, hexadecimal, such as pci:00:04.0`
}

func TestParseChannelErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "the name is empty"},
		{"@0+64", "the name is empty"},
		{".", "the name is a directory"},
		{"..", "the name is a directory"},
		{"..@0+64", "the name is a directory"},
		{"a/b", "want a name without '/' or an absolute path"},
		{"../b", "want a name without '/' or an absolute path"},
		{"a\x00b", "want a name without NUL bytes"},
		{"/a\x00b", "want a name without NUL bytes"},
		{"/a/..", "the path ends with '/': want a file"},
		{"/", "the path ends with '/': want a file"},
		{"/dev/shm/", "the path ends with '/': want a file"},
		{"/dev/shm/@0+64", "the path ends with '/': want a file"},
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
		if got, err := ParseChannel(c.in); err == nil || err.Error() != c.want || got != (Channel{}) {
			t.Errorf("ParseChannel(%q) = %+v, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "/a", false}, {"/x/a", "/x/./a", true},
		{"a", "a@0+64", true}, {"a@0+64", "a@64+64", false}, {"a@0+65", "a@64+64", true}, {"a@0+64", "b@0+64", false},
		{"pci:00:0A.0", "pci:0000:00:0a.0@1M+1M", true}, {"pci:00:04.0@0+1M", "pci:00:04.0@1M+1M", false}, {"pci:00:04.0", "pci:00:05.0", false},
	} {
		a, err := ParseChannel(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseChannel(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.Overlaps(b) != c.want || b.Overlaps(a) != c.want {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.want)
		}
	}
}

func TestCheckNewFile(t *testing.T) {
	for name, want := range map[string]string{
		"a|in": "", "/dev/shm/x": "", "é": "",
		"": "the name is empty", "/x/": "the name is empty", "..": "the name is a directory", "/..": "the name is a directory",
		"a/b": "want a name without '/' or an absolute path", "pci:1": `names that begin with "pci:" are PCI devices, not files`,
		"a@b": "the name contains '@': want no '@', no comma, no white space", "/x,y/a": "the name contains ',': want no '@', no comma, no white space",
		"a\x00": "the name contains '\\x00': want no '@', no comma, no white space", "a\xff": "the name is not UTF-8",
	} {
		if err := CheckNewFile(name); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("CheckNewFile(%q): %v; want %q", name, err, want)
		}
	}
}

func FuzzParseChannel(f *testing.F) {
	for _, s := range []string{"net0", "a|in@8+1M", "/x/y@0+64", "..", "a@b", "/@8+8", "pci:00:04.0", "pci:0001:02:03.4@4K+1M"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseChannel(s)
		if err != nil {
			if c != (Channel{}) {
				t.Fatalf("ParseChannel(%q): error %v with %+v", s, err, c)
			}
			return
		}
		if strings.HasPrefix(s, "pci:") != (c.PCI != "") {
			t.Fatalf("ParseChannel(%q): device %q", s, c.PCI)
		}
		if strings.HasPrefix(s, "/") != (c.Path != "") || strings.Contains(c.File, "/") {
			t.Fatalf("ParseChannel(%q) leaves the directory: %+v", s, c)
		}
		if c.Windowed != (c.Length > 0) || c.Offset < 0 || c.Offset%8 != 0 || c.Offset+c.Length < c.Offset {
			t.Fatalf("ParseChannel(%q): window %+v", s, c)
		}
	})
}
