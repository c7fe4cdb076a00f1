package muennet_test

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/shmstream"
)

// notOneToOne lists the images in which packet i of sent is not element i, and
// why. Their packets are taken from the image alone.
var notOneToOne = map[string]string{
	"g1_echo_marks_out.bin.gz": "sent holds the requests of the peer, the image the replies",
	"g4_eth_out.bin":           "sent holds the requests of the peer, the image the replies",
	"h1_pmtu_fragments.bin.gz": "two of the three packets were fragmented, after ICMP errors of the kernel",
}

// upAgain is the only image from which we differ on purpose: a module that
// starts again leaves the old elements in memory after a new header; we clear
// them.
const upAgain = "e3_up_again.bin.gz"

func TestGoldenFilesAreAllUsed(t *testing.T) {
	all := vectors(t)
	files, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := file.Name()
		if _, listed := all[name]; !listed && !slices.Contains([]string{"README.md", "manifest.json", "appendix_a.bin"}, name) {
			t.Errorf("%s is not in the manifest", name)
		}
	}
	for name := range notOneToOne {
		if _, listed := all[name]; !listed {
			t.Errorf("exception for %s, which is not in the manifest", name)
		}
	}
}

// The header matches the manifest, the parameters of the module and the size of
// the region.
func TestGoldenHeaders(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, v vector) {
		if len(v.bytes) != v.ImageBytes || sum(v.bytes) != v.ImageSHA256 {
			t.Fatalf("image of %d bytes with hash %s is not the one in the manifest", len(v.bytes), sum(v.bytes))
		}
		got, err := shmstream.ReadHeader(newRegion(v.RegionSize, v.bytes))
		if err != nil {
			t.Fatal(err)
		}
		if want := v.header(t); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}

		params := map[string]string{"mtu": "1500"}
		for param := range strings.FieldsSeq(v.ModuleParams) {
			key, value, _ := strings.Cut(param, "=")
			params[key] = value
		}
		mtu, err := strconv.Atoi(params["mtu"])
		if err != nil {
			t.Fatal(err)
		}
		protocol := params["writer_protocol"]
		if strings.Contains(name, "_in.") {
			protocol = params["reader_protocol"]
		}
		if want := v.format(t).Size(mtu); got.Size != uint64(want) {
			t.Errorf("element size is %d, want %[3]d for MTU %[2]d", got.Size, mtu, want)
		}
		if want := uint64(v.RegionSize-shmstream.HeaderSize) / got.Size; got.Elements != want {
			t.Errorf("%d elements, %d fit", got.Elements, want)
		}
		if want := number(t, protocol); got.Protocol != want {
			t.Errorf("protocol is %#x, configured is %#x", got.Protocol, want)
		}
	})
}

// Every element in the manifest decodes to the listed fields, packet and zeros.
func TestGoldenElements(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, v vector) {
		f, ring := v.format(t), v.header(t)
		if want := int(min(ring.WC, ring.Elements)); len(v.Image.ElementsWritten) != want {
			t.Errorf("%d elements listed, the header says %d", len(v.Image.ElementsWritten), want)
		}
		for _, w := range v.Image.ElementsWritten {
			if want := shmstream.HeaderSize + w.Index%int(ring.Elements)*int(ring.Size); w.Offset != want {
				t.Errorf("element %d: listed at %d, should be at %d", w.Index, w.Offset, want)
			}
			d := element.Describe(f, v.element(w))
			if d.Fault != element.OK {
				t.Errorf("element %d: %v", w.Index, d)
				continue
			}
			packet, length := d.Packet, w.Length
			switch f {
			case element.Raw:
				length = w.NonzeroLength
				packet = packet[:length]
			case element.EthDev:
				if want := w.Offset + int(ring.Size) - 2; w.LengthAt != want {
					t.Errorf("element %d: length listed at %d, should be at %d", w.Index, w.LengthAt, want)
				}
			}
			if d.Mark != w.Mark || d.Length != length || d.Protocol != w.Protocol || d.QoS != w.QoS {
				t.Errorf("element %d: got %v, want %+v", w.Index, d, w)
			}
			if len(packet) != length || sum(packet) != w.PayloadSHA256 || !bytes.HasPrefix(packet, unhex(t, w.PayloadHex+w.PayloadHeadHex)) {
				t.Errorf("element %d: packet is %x, want %+v", w.Index, packet, w)
			}
			if got := f.MaxPacket(int(ring.Size)) - length; got != w.PaddingLen {
				t.Errorf("element %d: %d bytes of padding, want %d", w.Index, got, w.PaddingLen)
			}
			if (d.Stray == 0) != w.PaddingZero {
				t.Errorf("element %d: %d stray bytes, padding zero: %t", w.Index, d.Stray, w.PaddingZero)
			}
		}
	})
}

// A reader of the whole channel delivers the elements in order: all of them, or
// the newer half of the ring if the writer has wrapped.
func TestGoldenRead(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, v vector) {
		f, ring := v.format(t), v.header(t)
		want := v.Image.ElementsWritten
		results := []shmstream.Result{shmstream.EpochChanged}
		switch {
		case ring.Epoch == 0:
			want, results = nil, nil
		case ring.WC > ring.Elements:
			results = append(results, shmstream.Overrun)
			want = want[len(want)-int(ring.Elements/2):]
		}
		for range want {
			results = append(results, shmstream.Success)
		}
		if ring.Epoch == 0 {
			results = append(results, shmstream.Inactive)
		} else {
			results = append(results, shmstream.NoData)
		}

		reader, err := shmstream.NewReader(newRegion(v.RegionSize, v.bytes), shmstream.Expect{Protocol: ring.Protocol, MinSize: f.MinSize()})
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, ring.Size)
		for step, wantResult := range results {
			packet, result := receive(t, reader, f, dst)
			if result != wantResult {
				t.Fatalf("step %d: %v (%s), want %v", step, result, reader.Reason(), wantResult)
			}
			if result != shmstream.Success {
				continue
			}
			w := want[0]
			want = want[1:]
			if f == element.Raw {
				packet.Data = packet.Data[:w.NonzeroLength]
			}
			if sum(packet.Data) != w.PayloadSHA256 || packet.Mark != w.Mark {
				t.Errorf("element %d: got %x with mark %#x, want %+v", w.Index, packet.Data, packet.Mark, w)
			}
		}
	})
}

// receive is one step of a receiver: slot, decode, confirm.
func receive(t *testing.T, reader *shmstream.Reader, f element.Format, dst []byte) (element.Packet, shmstream.Result) {
	t.Helper()
	slot, result := reader.Next()
	if result != shmstream.Success {
		return element.Packet{}, result
	}
	packet, fault := f.Decode(dst, slot)
	if result = reader.Confirm(); result == shmstream.Success && fault != element.OK {
		t.Errorf("element %d: %v", reader.Position()-1, fault)
	}
	return packet, result
}

// Writing what was sent, with the epoch of the image, gives the bytes of the
// image followed by zeros.
func TestGoldenReplay(t *testing.T) {
	all := vectors(t)
	eachVector(t, func(t *testing.T, name string, v vector) {
		region := newRegion(v.RegionSize, nil)
		writer, err := shmstream.NewWriter(region)
		if err != nil {
			t.Fatal(err)
		}
		start := v.header(t).Epoch
		switch {
		case name == upAgain:
			before := all["e1_up.bin.gz"]
			before.replay(t, writer, before.header(t).Epoch, before.packets(t, "e1_up.bin.gz"))
			writer.Stop()
		case start == 0:
			start = all["e1_up.bin.gz"].header(t).Epoch // that of e2_down
		}
		v.replay(t, writer, start, v.packets(t, name))
		if v.header(t).Epoch == 0 {
			writer.Stop()
		}

		image := v.bytes
		if name == upAgain {
			if !bytes.Equal(image[shmstream.HeaderSize:], all["e1_up.bin.gz"].bytes[shmstream.HeaderSize:]) {
				t.Error("the image does not contain the elements of the previous session, as its note says")
			}
			image = image[:shmstream.HeaderSize]
		}
		if i := firstDifference(region, image); i >= 0 {
			t.Errorf("byte %d (of element %d) differs:\n got %x\nwant %x", i, (i-shmstream.HeaderSize)/int(v.Image.Size),
				region[i:min(i+64, len(region))], image[i:min(i+64, len(image))])
		}
		if rest := bytes.TrimLeft(region[len(image):], "\x00"); len(rest) > 0 {
			t.Errorf("byte %d after the used part is not zero", len(region)-len(rest))
		}
	})
}

func firstDifference(region, image []byte) int {
	for i := range image {
		if region[i] != image[i] {
			return i
		}
	}
	return -1
}

func (v vector) replay(t *testing.T, writer *shmstream.Writer, epoch shmstream.Epoch, packets []element.Packet) {
	t.Helper()
	ring, f := v.header(t), v.format(t)
	if err := writer.Start(shmstream.WriterConfig{Protocol: ring.Protocol, Size: int(ring.Size), Epoch: epoch}); err != nil {
		t.Fatal(err)
	}
	for i, packet := range packets {
		writer.Reserve(1)
		used, fault := f.Encode(writer.Slot(0), packet.Data, packet.Mark)
		if fault != element.OK {
			t.Fatalf("packet %d: %v", i, fault)
		}
		writer.Fill(0, used)
		writer.Publish()
	}
}

// The example of the specification: nine elements written to a ring of eight,
// the tenth half written. Element k is two bytes of value k.
func TestGoldenSpecificationExample(t *testing.T) {
	const protocol = 0xbeefbeefbeef
	image := imageFile(t, "appendix_a.bin")
	value := func(k int) []byte { return []byte{byte(k), byte(k)} }

	region := newRegion(len(image), nil)
	writer, err := shmstream.NewWriter(region)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(shmstream.WriterConfig{Protocol: protocol, Size: 2, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= 9; k++ {
		writer.Write(value(k))
	}
	writer.Reserve(1)
	writer.Slot(0)[0] = 10
	if !bytes.Equal(region, image) {
		t.Errorf("got  %x\nwant %x", region, image)
	}

	// A reader that starts now has lost the beginning and continues with
	// half a ring: 6..9 of the readable 3..9.
	reader, err := shmstream.NewReader(newRegion(len(image), image), shmstream.Expect{Protocol: protocol, MinSize: element.Raw.MinSize()})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 2)
	for _, want := range []shmstream.Result{shmstream.EpochChanged, shmstream.Overrun} {
		if _, result := receive(t, reader, element.Raw, dst); result != want {
			t.Fatalf("%v, want %v", result, want)
		}
	}
	for k := 6; k <= 9; k++ {
		packet, result := receive(t, reader, element.Raw, dst)
		if result != shmstream.Success || !bytes.Equal(packet.Data, value(k)) {
			t.Errorf("element %d: %v, %x", k, result, packet.Data)
		}
	}
	if _, result := receive(t, reader, element.Raw, dst); result != shmstream.NoData {
		t.Errorf("after element 9: %v", result)
	}
}
