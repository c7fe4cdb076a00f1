package names

import (
	"fmt"
	"strconv"
	"strings"
)

// units are the suffixes of sizes, largest first.
var units = []struct {
	suffix string
	shift  uint
}{{"G", 30}, {"M", 20}, {"K", 10}}

// ParseSize parses a number of bytes, 1 to 2^63-1: decimal digits with an
// optional suffix K, M or G for 2^10, 2^20 or 2^30.
func ParseSize(s string) (int64, error) {
	n, err := parseBytes(s)
	if err == nil && n == 0 {
		err = fmt.Errorf("size %q: want at least 1", s)
	}
	return n, err
}

// parseBytes is ParseSize with 0 allowed.
func parseBytes(s string) (int64, error) {
	digits, shift := s, uint(0)
	for _, u := range units {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, shift = d, u.shift
			break
		}
	}
	// Limiting the digits to 63 bits minus the shift prevents overflow.
	// ParseUint accepts no sign, and in base 10 no underscores and no
	// prefix.
	n, err := strconv.ParseUint(digits, 10, 63-int(shift))
	if err != nil {
		return 0, fmt.Errorf("size %q: want a number with an optional K, M or G, below 2^63", s)
	}
	return int64(n) << shift, nil
}

// FormatSize formats n for ParseSize, with the largest unit that is exact.
func FormatSize(n int64) string {
	for _, u := range units {
		if n > 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
