package cli

import (
	"bytes"
	"fmt"
	"strings"
)

// hexdump formats bytes as `hexdump -C` does: offset, sixteen bytes, and the
// same as text. "*" stands for lines that equal the one above.
func hexdump(data []byte) string {
	var out strings.Builder
	const width = 16
	repeated := false
	for at := 0; at < len(data); at += width {
		row := data[at:min(at+width, len(data))]
		if at > 0 && bytes.Equal(row, data[at-width:at]) {
			if !repeated {
				out.WriteString("*\n")
			}
			repeated = true
			continue
		}
		repeated = false
		fmt.Fprintf(&out, "%08x ", at)
		for i := range width {
			if i%8 == 0 {
				out.WriteByte(' ')
			}
			if i < len(row) {
				fmt.Fprintf(&out, "%02x ", row[i])
			} else {
				out.WriteString("   ")
			}
		}
		out.WriteString(" |")
		for _, b := range row {
			if b < 0x20 || b > 0x7e {
				b = '.'
			}
			out.WriteByte(b)
		}
		out.WriteString("|\n")
	}
	fmt.Fprintf(&out, "%08x\n", len(data))
	return out.String()
}
