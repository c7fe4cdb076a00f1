package region

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/muennet/muennet/shmstream"
)

func TestPrepare(t *testing.T) {
	dir, memory := ivshmem(t, 64<<10)
	whole := open(t, "pci:00:04.0", ReadWrite).Bytes()
	fill := func() {
		for i := range whole {
			whole[i] = 0xaa
		}
	}
	zeros := func(first, last int) bool {
		return string(whole[first:last]) == strings.Repeat("\x00", last-first)
	}
	const window = "pci:00:04.0@4096+8192"
	w, err := shmstream.NewWriter(whole[4096:12288])
	if err != nil {
		t.Fatal(err)
	}
	fill()
	err = Prepare(window, 0)
	wantError(t, err, dir, "prepare channel "+window+": the memory is neither a channel nor all zeros: a writer would overwrite it")
	if err := w.Start(shmstream.WriterConfig{Protocol: 1, Size: 100, Epoch: 0x77}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("hello"))
	wantError(t, Prepare(window, 8192), dir, "prepare channel "+window+": a writer is active, epoch 0x77: it must stop first; if it died, the next one needs no preparation")
	w.Stop()
	wantError(t, Prepare(window, 4096), dir, "prepare channel "+window+": it has 8192 bytes, not 4096")
	holder := open(t, "pci:00:04.0@8192+64", ReadWrite)
	if err := holder.Lock(); err != nil {
		t.Fatal(err)
	}
	wantError(t, Prepare(window, 0), dir, "channel "+memory+": another writer holds it: pid "+strconv.Itoa(os.Getpid()))
	if zeros(4096, 12288) {
		t.Error("a refusal cleared the window")
	}
	holder.Close()
	for range 2 {
		if err := Prepare(window, 8192); err != nil {
			t.Fatal(err)
		}
		if !zeros(4096, 12288) {
			t.Error("the window is not clear")
		}
	}
	if whole[4095] != 0xaa || whole[12288] != 0xaa {
		t.Error("bytes beside the window were cleared")
	}
	// After a header of zeros any bytes are harmless, and stay.
	whole[12000] = 1
	if err := Prepare(window, 0); err != nil || whole[12000] != 1 {
		t.Errorf("%v, byte %d", err, whole[12000])
	}
	wantError(t, Prepare("a", 0), "", "prepare channel a: want pci:BUS:DEV.FN")
	wantError(t, Prepare("pci:00:4.0", 0), "", `parse channel "pci:00:4.0": device "00:4.0": want pci:BUS:DEV.FN or pci:DOMAIN:BUS:DEV.FN, hexadecimal, such as pci:00:04.0`)
}
