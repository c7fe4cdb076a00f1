package offload

import (
	"bytes"
	"testing"
)

func TestHeaderBytes(t *testing.T) {
	h := Header{Flags: NeedsCsum, GSOType: GSOTCPv6 | GSOECN, HdrLen: 0x0102, GSOSize: 0x0304, CsumStart: 0x0506, CsumOffset: 0x0708}
	want := []byte{1, 0x84, 2, 1, 4, 3, 6, 5, 8, 7}
	b := bytes.Repeat([]byte{0xee}, HeaderSize+1)
	h.Encode(b)
	if !bytes.Equal(b[:HeaderSize], want) || b[HeaderSize] != 0xee {
		t.Errorf("encoded % x, want % x and one byte untouched", b, want)
	}
	var back Header
	if back.Decode(b); back != h {
		t.Errorf("decoded %+v, want %+v", back, h)
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range Fault(NumFaults) {
		if name := f.String(); name == "" || seen[name] {
			t.Errorf("fault %d has the name %q", f, name)
		} else {
			seen[name] = true
		}
	}
	if got := Fault(NumFaults).String(); got != "fault(7)" {
		t.Errorf("unknown fault: %q", got)
	}
}
