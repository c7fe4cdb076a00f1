package packet

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"testing"
)

const vectorDir = "../../testdata/vectors/"

// h1 is the part of the manifest that describes the image with fragments.
type h1 struct {
	ImageSHA256 string `json:"image_sha256"`
	Sent        []struct {
		PayloadLen int `json:"payload_len"`
		Seed       int
		Dst        netip.Addr
		PMTU       uint32
	}
	Image struct {
		ElementsWritten []struct {
			Offset, Length int
			Protocol       int
		} `json:"elements_written"`
	}
}

func readH1(t *testing.T) (about h1, image []byte) {
	t.Helper()
	text, err := os.ReadFile(vectorDir + "manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Vectors struct {
			H1 h1 `json:"h1_pmtu_fragments.bin.gz"`
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(vectorDir + "h1_pmtu_fragments.bin.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	about = manifest.Vectors.H1
	if sum := sha256.Sum256(image); hex.EncodeToString(sum[:]) != about.ImageSHA256 {
		t.Fatal("the image does not match the manifest")
	}
	return about, image
}

// The packets that were sent to the kernel module are rebuilt from the
// manifest, fragmented, and compared byte by byte with the fragments that the
// module wrote. Two fields are not in the manifest and are taken from the first
// fragment of each packet: the ID, which the sending kernel chose, and the type
// of service. The address, ports and TTL of the sender are the same in all
// packets.
func TestGoldenFragments(t *testing.T) {
	about, image := readH1(t)
	var written [][]byte
	for _, e := range about.Image.ElementsWritten {
		if e.Protocol == 4 {
			written = append(written, image[e.Offset+8:e.Offset+8+e.Length])
		}
	}
	var made [][]byte
	for _, sent := range about.Sent {
		if len(made) >= len(written) {
			t.Fatalf("more pieces than the %d in the image", len(written))
		}
		first := written[len(made)]
		udp := binary.BigEndian.AppendUint16(nil, 4000)
		udp = binary.BigEndian.AppendUint16(udp, 5000)
		udp = binary.BigEndian.AppendUint16(udp, uint16(8+sent.PayloadLen))
		udp = append(udp, 0, 0)
		for k := range sent.PayloadLen {
			udp = append(udp, byte(7*k+sent.Seed))
		}
		p := packet4{tos: first[1], id: binary.BigEndian.Uint16(first[4:]), to: sent.Dst.As4(), payload: udp}.build()
		binary.BigEndian.PutUint16(p[26:], Checksum(p[20:], PseudoHeader(p[12:20], 17, len(p)-20)))

		switch limit := Limit(sent.PMTU, Version(p)); Check(p, limit) {
		case Fits:
			made = append(made, p)
		case Cut:
			made = append(made, cut(t, p, limit)...)
		default:
			t.Fatalf("%d bytes of payload are not sent", sent.PayloadLen)
		}
	}
	if len(made) != len(written) || len(made) != 5 {
		t.Fatalf("%d pieces, the module made %d", len(made), len(written))
	}
	for i := range made {
		if !bytes.Equal(made[i], written[i]) {
			t.Errorf("piece %d:\n% x\nwant\n% x", i, made[i], written[i])
		}
	}
}
