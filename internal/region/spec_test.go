package region

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
		{"net0@0+4096", Spec{"/ch/net0", 0, 4096, true}},
		{"net0@8+1", Spec{"/ch/net0", 8, 1, true}},
		{"/dev/shm/x@64K+1M", Spec{"/dev/shm/x", 64 << 10, 1 << 20, true}},
		{"a@b@1G+2G", Spec{"/ch/a@b", 1 << 30, 2 << 30, true}},
	} {
		got, err := ParseSpec("/ch", c.in)
		if err != nil || got != c.want {
			t.Errorf("ParseSpec(%q) = %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
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
		{"/", "the path ends with '/': a file is wanted"},
		{"/dev/shm/", "the path ends with '/': a file is wanted"},
		{"/dev/shm/@0+64", "the path ends with '/': a file is wanted"},
		{"pci:0000:00:04.0", `names that begin with "pci:" are reserved`},
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
		if _, got, _ := strings.Cut(err.Error(), "\": "); got != c.want {
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
	for _, s := range []string{"net0", "a|in@8+1M", "/x/y@0+64", "..", "a@b", "/@8+8"} {
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
		if !strings.HasPrefix(s, "/") && strings.LastIndexByte(spec.Path, '/') != len("/ch") {
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

func TestHasType(t *testing.T) {
	if !hasType("/proc", unix.PROC_SUPER_MAGIC) {
		t.Error("/proc is not recognised by its type")
	}
	if hasType("/proc", muenfsMagic) || hasType("/does/not/exist", unix.PROC_SUPER_MAGIC) {
		t.Error("a directory is taken for what it is not")
	}
	want := plainDir
	if hasType(muenfsDir, muenfsMagic) {
		want = muenfsDir
	}
	if got := DefaultDir(); got != want {
		t.Errorf("DefaultDir() = %s, want %s", got, want)
	}
}
