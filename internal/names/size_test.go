package names

import "testing"

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

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "1", 1000: "1000", 1 << 10: "1K", 1536: "1536", 3 << 20: "3M", 1 << 31: "2G", 1<<20 + 1024: "1025K"} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %s, want %s", n, got, want)
		}
	}
}
