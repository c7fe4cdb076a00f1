package muennet_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/shmstream"
)

// The images were written by other implementations; see
// testdata/vectors/README.md.
const vectorDir = "testdata/vectors"

// vector is an entry of the manifest: how an image was made and what it
// contains.
type vector struct {
	ModuleParams string `json:"module_params"`
	RegionSize   int    `json:"region_size"`
	Kind         string
	ImageBytes   int    `json:"image_bytes"`
	ImageSHA256  string `json:"image_sha256"`
	Sent         []sent
	Image        struct {
		Transport, Epoch, Protocol        string // hexadecimal
		Size, Elements, Reserved, WSC, WC uint64
		ElementsWritten                   []written `json:"elements_written"`
	}

	bytes []byte // the image itself
}

// written is an element in the image.
type written struct {
	Index, Offset  int
	Mark           uint32
	Length         int
	LengthAt       int `json:"length_at"`
	Protocol, QoS  uint8
	NonzeroLength  int    `json:"nonzero_length"` // raw has no length
	PayloadSHA256  string `json:"payload_sha256"`
	PayloadHex     string `json:"payload_hex"`
	PayloadHeadHex string `json:"payload_head_hex"`
	PaddingLen     int    `json:"padding_len"`
	PaddingZero    bool   `json:"padding_zero"`
}

// sent describes what was sent through the interface: n packets, given either
// byte by byte or as the parts that a UDP sender chooses.
type sent struct {
	Via          string
	N            int
	Mark         uint32
	TOS, TClass  *uint8
	PayloadLen   int    `json:"payload_len"`
	Seed         any    // a number, or "1+i" for the i-th of n
	PacketHex    string `json:"packet_hex"`
	PacketSHA256 string `json:"packet_sha256"`
}

func vectors(t *testing.T) map[string]vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorDir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Vectors map[string]vector }
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatalf("read manifest: %v", err)
	}
	for name, v := range manifest.Vectors {
		v.bytes = imageFile(t, name)
		manifest.Vectors[name] = v
	}
	return manifest.Vectors
}

func imageFile(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var from io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			t.Fatalf("open %s: %v", name, err)
		}
	}
	image, err := io.ReadAll(from)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return image
}

func eachVector(t *testing.T, run func(t *testing.T, name string, v vector)) {
	all := vectors(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { run(t, name, all[name]) })
	}
}

// newRegion returns zeroed memory, aligned like a channel, that begins with
// image.
func newRegion(size int, image []byte) []byte {
	words := make([]uint64, (size+7)/8)
	region := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
	copy(region, image)
	return region
}

func (v vector) format(t *testing.T) element.Format {
	t.Helper()
	f, known := map[string]element.Format{"raw": element.Raw, "net_hdr": element.NetHdr, "eth": element.EthDev}[v.Kind]
	if !known {
		t.Fatalf("kind is %q", v.Kind)
	}
	return f
}

func (v vector) header(t *testing.T) shmstream.Header {
	t.Helper()
	return shmstream.Header{
		Transport: number(t, v.Image.Transport), Epoch: shmstream.Epoch(number(t, v.Image.Epoch)),
		Protocol: number(t, v.Image.Protocol), Size: v.Image.Size, Elements: v.Image.Elements,
		Reserved: v.Image.Reserved, WSC: v.Image.WSC, WC: v.Image.WC,
	}
}

// element returns the bytes of element w at the offset in the manifest.
func (v vector) element(w written) []byte {
	return v.bytes[w.Offset : w.Offset+int(v.Image.Size)]
}

func number(t *testing.T, hexadecimal string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hexadecimal, "0x"), 16, 64)
	if err != nil {
		t.Fatalf("read number: %v", err)
	}
	return n
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("read bytes: %v", err)
	}
	return b
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// packets returns everything that the writer of the image wrote, in order. Each
// packet consists of what the sender chose, from sent, and of what its kernel
// added (IP and UDP headers), from the image. Elements that were overwritten
// are replaced by a packet of maximum size, so that the image only matches if
// the newer element clears the rest of it.
func (v vector) packets(t *testing.T, name string) []element.Packet {
	t.Helper()
	f := v.format(t)
	packets := make([]element.Packet, v.Image.WC)
	overwritten := len(packets) - len(v.Image.ElementsWritten)
	for i := range overwritten {
		packets[i].Data = bytes.Repeat([]byte{0x45}, f.MaxPacket(int(v.Image.Size)))
	}
	for _, w := range v.Image.ElementsWritten {
		d := element.Describe(f, bytes.Clone(v.element(w)))
		packets[w.Index] = element.Packet{Data: d.Packet[:d.Length], Mark: d.Mark}
	}
	if notOneToOne[name] != "" {
		return packets
	}
	next := 0
	for _, s := range v.Sent {
		if s.Via == "" {
			continue // a note that the kernel itself sent more
		}
		for i := range max(s.N, 1) {
			if next == len(packets) {
				t.Fatalf("more packets sent than the %d written", len(packets))
			}
			if next >= overwritten {
				packets[next] = element.Packet{Data: s.rewrite(t, i, packets[next].Data), Mark: s.Mark}
			}
			next++
		}
	}
	return packets
}

// rewrite replaces what was sent in packet: all of it, or the payload and the
// TOS or traffic class of a UDP packet.
func (s sent) rewrite(t *testing.T, i int, packet []byte) []byte {
	t.Helper()
	switch {
	case s.PacketHex != "":
		packet = unhex(t, s.PacketHex)
	case s.Via == "udp4":
		packet = append(packet[:20+8:20+8], s.payload(t, i)...)
		if s.TOS != nil {
			packet[1] = *s.TOS
		}
	case s.Via == "udp6":
		packet = append(packet[:40+8:40+8], s.payload(t, i)...)
		packet[0], packet[1] = 6<<4|*s.TClass>>4, *s.TClass<<4|packet[1]&0xf
	}
	if s.PacketSHA256 != "" && sum(packet) != s.PacketSHA256 {
		t.Errorf("packet of %d bytes is not the one that was sent", len(packet))
	}
	return packet
}

func (s sent) payload(t *testing.T, i int) []byte {
	t.Helper()
	seed, plus := strings.CutSuffix(fmt.Sprint(s.Seed), "+i")
	first, err := strconv.Atoi(seed)
	if err != nil {
		t.Fatalf("read seed: %v", err)
	}
	if plus {
		first += i
	}
	payload := make([]byte, s.PayloadLen)
	for k := range payload {
		payload[k] = byte(7*k + first)
	}
	return payload
}
