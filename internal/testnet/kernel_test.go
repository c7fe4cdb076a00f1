package testnet

import "testing"

func TestSince(t *testing.T) {
	for _, c := range []struct {
		release      string
		major, minor int
		want         bool
	}{
		{"6.2.0", 6, 2, true},
		{"6.1.0-18-amd64", 6, 2, false},
		{"6.18.44", 6, 2, true},
		{"5.15.0-100-generic", 6, 2, false},
		{"7.0-rc1", 6, 2, true},
		{"10.0.0", 6, 2, true},
	} {
		if got := since(t, c.release, c.major, c.minor); got != c.want {
			t.Errorf("%s since %d.%d: %v, want %v", c.release, c.major, c.minor, got, c.want)
		}
	}
	if !Kernel(t, 2, 6) || Kernel(t, 1000, 0) {
		t.Error("the running kernel is of no version")
	}
}
