package cli

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// makeChannel makes a channel of size bytes and opens it for a writer.
func makeChannel(t *testing.T, dir, name string, size int64) *region.Region {
	t.Helper()
	if err := region.Create(dir, name, size, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := region.Open(dir, name, region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func startWriter(t *testing.T, r *region.Region, protocol uint64, size int) *shmstream.Writer {
	t.Helper()
	w, err := shmstream.NewWriter(r.Bytes())
	if err == nil {
		err = w.Start(shmstream.WriterConfig{Protocol: protocol, Size: size, Epoch: 0x1234})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestChannelCreateAndList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ch")
	in := func(args ...string) (int, string, string) {
		return call(t, append([]string{"--channels", dir, "channel"}, args...)...)
	}
	if code, _, stderr := in("list"); code != exitFailed || !strings.Contains(stderr, dir) {
		t.Errorf("list without a directory: exit %d, %q", code, stderr)
	}
	for _, args := range [][]string{{"create", "a"}, {"create", "net0|out", "--size", "64K", "--mode", "0640"}} {
		if code, stdout, stderr := in(args...); code != exitDone || stdout+stderr != "" {
			t.Errorf("%q: exit %d, %q %q", args, code, stdout, stderr)
		}
	}
	code, _, stderr := in("create", "a")
	if code != exitFailed || !strings.Contains(stderr, "exists") {
		t.Errorf("create again: exit %d, %q", code, stderr)
	}
	oneLineOf(t, stderr)
	r, err := region.Open(dir, "a", region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := in("list")
	want := fmt.Sprintf("NAME      SIZE     MODE  WRITER\na         1048576  0600  pid %d\nnet0|out  65536    0640  -\n", os.Getpid())
	if stdout != want {
		t.Errorf("list prints\n%s, want\n%s", stdout, want)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"net0|out": "net0|out", "a\x1b[2J": `"a\x1b[2J"`, "ä": "ä", "a\nb": `"a\nb"`} {
		if got := printable(in); got != want {
			t.Errorf("%q is printed as %s", in, got)
		}
	}
}

func TestChannelShow(t *testing.T) {
	dir := t.TempDir()
	r := makeChannel(t, dir, "a", 64+10*100)
	if _, stdout, _ := call(t, "--channels", dir, "channel", "show", "a"); !strings.Contains(stdout, "state:      inactive\n") ||
		!strings.Contains(stdout, "writer:     none that holds the lock\n") || !strings.Contains(stdout, "consistent: yes\n") {
		t.Errorf("fresh channel:\n%s", stdout)
	}
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	w := startWriter(t, r, 0x12, 100)
	w.Write([]byte("hello"))
	code, stdout, stderr := call(t, "--channels", dir, "channel", "show", "a")
	want := fmt.Sprintf(`channel:    a
path:       %s/a
region:     1064 bytes
memory:     file
writer:     pid %d
state:      active
transport:  0x487312b6b79a9b6d (SHMStream 2)
epoch:      0x1234
protocol:   0x12
size:       100 bytes
elements:   10
reserved:   0
wsc:        1
wc:         1
consistent: yes
`, dir, os.Getpid())
	if code != exitDone || stdout != want {
		t.Errorf("exit %d, %s, prints\n%s, want\n%s", code, stderr, stdout, want)
	}
}

func TestShowMissing(t *testing.T) {
	dir := t.TempDir()
	for _, cmd := range []string{"show", "dump"} {
		code, _, stderr := call(t, "--channels", dir, "channel", cmd, "nix")
		if code != exitFailed || !strings.Contains(stderr, dir) || !strings.Contains(stderr, "channel create nix") {
			t.Errorf("%s: exit %d, %q", cmd, code, stderr)
		}
		oneLineOf(t, stderr)
	}
}

// hostile are headers that no reader may follow, by what is said of them. The
// region is 1064 bytes.
var hostile = map[string]shmstream.Header{
	"transport is not":               {Transport: 7, Epoch: 1, Protocol: 1, Size: 100, Elements: 10},
	"protocol is 0":                  {Transport: shmstream.Transport, Epoch: 1, Size: 100, Elements: 10},
	"size is not 1..1048576":         {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Elements: 10},
	"elements is 0":                  {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, WC: 5, WSC: 5},
	"11 elements of 100 bytes need":  {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, Elements: 11, WC: 5, WSC: 5},
	"4294967296 elements of 100":     {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, Elements: 1 << 32},
	"4611686018427387904 elements":   {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 4, Elements: 1 << 62},
	"wsc is below wc":                {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, Elements: 10, WC: 1<<64 - 1},
	"wsc is more than 10":            {Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, Elements: 10, WSC: 1<<64 - 1},
	"protocol is 0; size is not 1..": {Transport: shmstream.Transport, Epoch: 1, Size: 1<<20 + 1, Elements: 1<<64 - 1, WC: 1, WSC: 1},
}

func poke(mem []byte, h shmstream.Header) {
	for i, v := range []uint64{h.Transport, uint64(h.Epoch), h.Protocol, h.Size, h.Elements, h.Reserved, h.WSC, h.WC} {
		binary.LittleEndian.PutUint64(mem[8*i:], v)
	}
}

func TestHostileHeaders(t *testing.T) {
	dir := t.TempDir()
	r := makeChannel(t, dir, "a", 64+10*100)
	for want, h := range hostile {
		poke(r.Bytes(), h)
		code, stdout, _ := call(t, "--channels", dir, "channel", "show", "a")
		if code != exitDone || !strings.Contains(stdout, "consistent: no: "+want) {
			t.Errorf("%s: show: exit %d\n%s", want, code, stdout)
		}
		code, stdout, stderr := call(t, "--channels", dir, "channel", "dump", "a", "--elements", "4000000000")
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: dump: exit %d, %q %q", want, code, stdout, stderr)
		}
		oneLineOf(t, stderr)
	}
	// Legal, at the end of all numbers.
	poke(r.Bytes(), shmstream.Header{Transport: shmstream.Transport, Epoch: 1, Protocol: 1, Size: 100, Elements: 10, WSC: 1<<64 - 1, WC: 1<<64 - 1})
	if code, stdout, stderr := call(t, "--channels", dir, "channel", "dump", "a", "--elements", "3"); code != exitDone ||
		!strings.Contains(stdout, "\nelement 18446744073709551614: ") || strings.Count(stdout, "\nelement ") != 3 {
		t.Errorf("dump at the end: exit %d, %q\n%s", code, stderr, stdout)
	}
}

// Of memory that is no channel nothing is printed but that.
func TestShowNoChannel(t *testing.T) {
	dir := t.TempDir()
	secret := strings.Repeat("\x81\x92\xa3\xb4\xc5\xd6\xe7\xf8", 512)
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, "--channels", dir, "channel", "show", "a")
	if code != exitDone || !strings.HasSuffix(stdout, "state:      no channel\nconsistent: no: transport is not 0x487312b6b79a9b6d: not a channel\n") {
		t.Errorf("show: exit %d, %s\n%s", code, stderr, stdout)
	}
	told := stdout + stderr
	code, stdout, stderr = call(t, "--channels", dir, "channel", "dump", "a")
	if code != exitFailed || !strings.Contains(stderr, "not a channel") {
		t.Errorf("dump: exit %d, %q %q", code, stdout, stderr)
	}
	if told += stdout + stderr; strings.Contains(told, "f8e7d6c5b4a39281") || strings.Contains(told, "8192a3b4c5d6e7f8") {
		t.Errorf("its words are printed:\n%s", told)
	}
}

func TestShrunkRegion(t *testing.T) {
	dir := t.TempDir()
	r := makeChannel(t, dir, "a", 1<<20)
	startWriter(t, r, 1, 1<<19).Write([]byte("x"))
	mapped, err := region.Open(dir, "a", region.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	if err := os.Truncate(filepath.Join(dir, "a"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := header(mapped); err == nil || !strings.Contains(err.Error(), "shrank") {
		t.Errorf("header of a region that is gone: %v", err)
	}
}

func ipv4(n int) []byte {
	p := make([]byte, n)
	p[0] = 0x45
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	return p
}

// writePacket writes one element as an interface would.
func writePacket(t *testing.T, w *shmstream.Writer, f element.Format, packet []byte, mark uint32) {
	t.Helper()
	w.Reserve(1)
	n, fault := f.Encode(w.Slot(0), packet, mark)
	if fault != element.OK {
		t.Fatal(fault)
	}
	w.Fill(0, n)
	w.Publish()
}

var elementLine = regexp.MustCompile(`(?m)^element (\d+): (.*)$`)

func TestDump(t *testing.T) {
	dir := t.TempDir()
	r := makeChannel(t, dir, "a", 64+4*108) // a ring of four
	w := startWriter(t, r, 2, 108)
	dump := func(args ...string) string {
		code, stdout, stderr := call(t, append([]string{"--channels", dir, "channel", "dump", "a"}, args...)...)
		if code != exitDone {
			t.Fatalf("dump %q: exit %d, %s", args, code, stderr)
		}
		return stdout
	}
	if got := dump(); got != "epoch 0x1234, protocol 0x2, 0 elements written, 108 bytes each, format raw (guessed)\n" {
		t.Errorf("nothing written: %q", got)
	}
	for i := range 6 {
		writePacket(t, w, element.NetHdr, ipv4(20+i), uint32(i))
	}
	got := dump()
	var lines []string
	for _, m := range elementLine.FindAllStringSubmatch(got, -1) {
		lines = append(lines, m[1]+" "+m[2])
	}
	want := []string{
		"2 mark 0x2, length 22, protocol 4 (IPv4), qos 0", "3 mark 0x3, length 23, protocol 4 (IPv4), qos 0",
		"4 mark 0x4, length 24, protocol 4 (IPv4), qos 0", "5 mark 0x5, length 25, protocol 4 (IPv4), qos 0",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") || !strings.Contains(got, "format net_hdr (guessed)") {
		t.Errorf("prints\n%s", got)
	}
	one := dump("--elements", "1", "--flags", "raw")
	wantOne := `epoch 0x1234, protocol 0x2, 6 elements written, 108 bytes each, format raw

element 5: length 12
00000000  05 00 00 00 19 00 04 00  45 00 00 19 00 00 00 00  |........E.......|
00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000060  00 00 00 00 00 00 00 00  00 00 00 00              |............|
0000006c
`
	if one != wantOne {
		t.Errorf("prints\n%s, want\n%s", one, wantOne)
	}
	// Reading leaves no trace.
	if h, _ := shmstream.ReadHeader(r.Bytes()); h.WC != 6 || h.WSC != 6 {
		t.Errorf("header is now %+v", h)
	}
	w.Stop()
	if code, _, stderr := call(t, "--channels", dir, "channel", "dump", "a"); code != exitFailed || !strings.Contains(stderr, "inactive") {
		t.Errorf("stopped: exit %d, %q", code, stderr)
	}
}

func TestGuessFormat(t *testing.T) {
	encode := func(f element.Format, p []byte) slot {
		s := slot{data: make([]byte, 120)}
		if _, fault := f.Encode(s.data, p, 0); fault != element.OK {
			t.Fatal(fault)
		}
		return s
	}
	frame := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x06"), make([]byte, 28)...)
	ip, eth, raw := encode(element.NetHdr, ipv4(60)), encode(element.EthDev, frame), encode(element.Raw, []byte("some text"))
	for _, tc := range []struct {
		name   string
		header shmstream.Header
		slots  []slot
		want   element.Format
	}{
		{"nothing", shmstream.Header{}, nil, element.Raw},
		{"solo", shmstream.Header{Protocol: config.SoloProtocol}, nil, element.EthDev},
		{"solo of another size", shmstream.Header{Protocol: config.SoloProtocol, Size: 1508}, nil, element.EthDev},
		{"size of ip", shmstream.Header{Size: 1508}, nil, element.NetHdr},
		{"size of frames", shmstream.Header{Size: 1516}, nil, element.EthDev},
		{"size of ip, all malformed", shmstream.Header{Size: 1508}, []slot{raw, raw}, element.NetHdr},
		{"size of frames, which look like ip", shmstream.Header{Size: 1516}, []slot{ip, ip}, element.EthDev},
		{"ip", shmstream.Header{Size: 120}, []slot{ip, ip}, element.NetHdr},
		{"frames", shmstream.Header{Size: 120}, []slot{eth}, element.EthDev},
		{"text", shmstream.Header{Size: 120}, []slot{raw}, element.Raw},
		{"half of them ip", shmstream.Header{Size: 120}, []slot{ip, raw}, element.Raw},
		{"ip, one malformed", shmstream.Header{Size: 120}, []slot{ip, raw, ip}, element.NetHdr},
		{"frames, one malformed", shmstream.Header{Size: 120}, []slot{raw, eth, eth}, element.EthDev},
	} {
		if got := guessFormat(tc.header, tc.slots); got != tc.want {
			t.Errorf("%s: guessed %s, want %s", tc.name, got, tc.want)
		}
	}
}
