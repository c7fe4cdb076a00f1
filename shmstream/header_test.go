package shmstream

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// fields lists the header words in the order of the constants.
var fields = []struct {
	name   string
	offset int
	word   word
}{
	{"Transport", TransportOffset, wordTransport},
	{"Epoch", EpochOffset, wordEpoch},
	{"Protocol", ProtocolOffset, wordProtocol},
	{"Size", SizeOffset, wordSize},
	{"Elements", ElementsOffset, wordElements},
	{"Reserved", ReservedOffset, wordReserved},
	{"WSC", WSCOffset, wordWSC},
	{"WC", WCOffset, wordWC},
	{"data", HeaderSize, HeaderSize / 8},
}

// tableRows returns "name offset" for each row of a layout table in a file. sep
// separates the cells.
func tableRows(t *testing.T, path, prefix, sep string) map[string]bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		row, ok := strings.CutPrefix(s.Text(), prefix)
		if !ok {
			continue
		}
		cells := strings.FieldsFunc(row, func(r rune) bool { return strings.ContainsRune(sep, r) })
		if len(cells) >= 3 {
			rows[strings.TrimSpace(cells[0])+" "+strings.TrimSpace(cells[1])] = true
		}
	}
	return rows
}

func TestLayoutTablesMatchConstants(t *testing.T) {
	tables := map[string]map[string]bool{
		"header.go":           tableRows(t, "header.go", "//\t", " "),
		"../docs/protocol.md": tableRows(t, "../docs/protocol.md", "| ", "|"),
	}
	for path, rows := range tables {
		for i, f := range fields {
			if f.offset != 8*i || int(f.word) != i {
				t.Errorf("%s: offset %d, word %d; want %d, %d", f.name, f.offset, f.word, 8*i, i)
			}
			if row := fmt.Sprint(f.name, " ", f.offset); !rows[row] {
				t.Errorf("%s: no row %q in the layout table", path, row)
			}
		}
	}
}

func TestReadHeader(t *testing.T) {
	region := newRegion(HeaderSize)
	for i, f := range fields[:8] {
		poke(region, f.offset, uint64(i+1)<<56|uint64(i))
	}
	before := string(region)
	got, err := ReadHeader(region)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i uint64) uint64 { return (i+1)<<56 | i }
	want := Header{at(0), Epoch(at(1)), at(2), at(3), at(4), at(5), at(6), at(7)}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if string(region) != before {
		t.Error("ReadHeader changed the region")
	}
}

func TestUnusableRegions(t *testing.T) {
	aligned := newRegion(HeaderSize + 8)
	for name, region := range map[string][]byte{
		"nil": nil, "short": aligned[:HeaderSize-1], "misaligned": aligned[1:], "half a word off": aligned[4:],
	} {
		if _, err := ReadHeader(region); err == nil {
			t.Errorf("ReadHeader of a region that is %s: no error", name)
		}
		if _, err := NewWriter(region); err == nil {
			t.Errorf("NewWriter on a region that is %s: no error", name)
		}
		if _, err := NewReader(region, Expect{Protocol: 1}); err == nil {
			t.Errorf("NewReader on a region that is %s: no error", name)
		}
	}
	for _, want := range []Expect{{}, {MinSize: 1}, {Protocol: 1, MinSize: -1}, {Protocol: 1, MinSize: MaxElementSize + 1}} {
		if _, err := NewReader(aligned, want); err == nil {
			t.Errorf("NewReader with %+v: no error", want)
		}
	}
}

func TestResultNames(t *testing.T) {
	for r, want := range map[Result]string{
		Inactive: "Inactive", Incompatible: "Incompatible", EpochChanged: "EpochChanged", NoData: "NoData",
		Overrun: "Overrun", Success: "Success", Success + 1: "Result(unknown)", 255: "Result(unknown)",
	} {
		if got := r.String(); got != want {
			t.Errorf("Result(%d) is %q, want %q", r, got, want)
		}
	}
}
