package e2e

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// setRPS has all processors named by mask receive what arrives on a device.
func setRPS(l *lone, mask string) {
	l.t.Helper()
	l.MustRun("unshare", "--mount", "sh", "-e", "-c",
		"mount -t sysfs sysfs /sys && for f in /sys/class/net/net0/queues/rx-*/rps_cpus; do echo "+mask+" > $f; done")
}

// droppedPort is where the datagrams go to that the XDP program drops.
const droppedPort = 9

// dropByXDP attaches a program to net0 that drops datagrams to droppedPort.
func dropByXDP(l *lone) {
	l.t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "drop", Type: ebpf.XDP, Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Imm(asm.R0, 2),                   // XDP_PASS
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 28),
		asm.JGT.Reg(asm.R4, asm.R3, "end"),
		asm.LoadMem(asm.R5, asm.R2, 22, asm.Half),
		asm.JNE.Imm(asm.R5, droppedPort<<8, "end"), // as a little-endian machine reads it
		asm.Mov.Imm(asm.R0, 1),                     // XDP_DROP
		asm.Return().WithSymbol("end"),
	}})
	if err != nil {
		l.t.Fatal(err)
	}
	defer program.Close()
	index := l.Index("net0")
	l.Do(func() {
		x, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPGenericMode}) // a TUN has no other
		if err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() { x.Close() })
	})
}

// While RPS puts packets aside none gets a mark, rather than another one's. A
// program that drops is not taken for it.
func TestMarksOfPacketsThatAreNotReceived(t *testing.T) {
	t.Run("RPS", func(t *testing.T) { marksWithRPS(t, nil) })
	t.Run("XDP", func(t *testing.T) { marksWithRPS(t, dropByXDP) })
}

func marksWithRPS(t *testing.T, drop func(*lone)) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	socket := newMarkSocket(t, l.NS, "net0", "10.0.0.2")
	var marked, wrong, received atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			mark, payload, err := socket.recv()
			if err != nil || len(payload) != 4 {
				ended <- err // nil: the empty one at the end
				return
			}
			want := binary.BigEndian.Uint32(payload)
			switch {
			case mark == want:
				if mark != 0 {
					marked.Add(1)
				}
			case mark != 0:
				wrong.Add(1)
			}
			received.Add(1)
		}
	}()
	packets := make([][]byte, 256)
	for i := range packets {
		packets[i] = udp("10.0.0.2", "10.0.0.1", binary.BigEndian.AppendUint32(nil, uint32(i%3)))
		// Other flows go to other processors.
		binary.BigEndian.PutUint16(packets[i][20:], uint16(1000+i*7))
		packets[i][20+6], packets[i][20+7] = 0, 0 // no checksum
		if drop != nil && i%5 == 0 {
			binary.BigEndian.PutUint16(packets[i][22:], droppedPort)
		}
	}
	if drop != nil {
		drop(l)
	}
	number := 0
	send := func(n int) {
		for range n {
			l.in.Reserve(1)
			used, _ := element.NetHdr.Encode(l.in.Slot(0), packets[number%256], uint32(number%256%3))
			l.in.Fill(0, used)
			l.in.Publish()
			number++
		}
		l.in.ring()
		time.Sleep(500 * time.Microsecond)
	}
	incoming := func() string { return l.show("net0").Marking.Incoming }
	traffic := func(what string, until func() bool) {
		t.Helper()
		testnet.Eventually(t, what, func() bool {
			if len(ended) > 0 {
				t.Fatalf("receiving: %v", <-ended)
			}
			for range 20 {
				send(64)
			}
			return until()
		})
	}
	traffic("marked packets", func() bool { return marked.Load() > 1000 })
	for range 2 {
		setRPS(l, fmt.Sprintf("%x", 1<<min(runtime.NumCPU(), 31)-1))
		traffic("marks are suspended", func() bool { return strings.HasPrefix(incoming(), "suspended") })
		from := received.Load()
		begun := time.Now() // longer than it takes to find out that it is calm
		traffic("packets with RPS", func() bool { return received.Load() > from+20_000 && time.Since(begun) > 3*time.Second })
		setRPS(l, "0")
		traffic("marks are set again", func() bool { return strings.HasPrefix(incoming(), "active") })
		before := marked.Load()
		traffic("marked packets", func() bool { return marked.Load() > before+1000 })
		if s := incoming(); !strings.HasPrefix(s, "active") {
			t.Errorf("marks are %s", s)
		}
	}
	l.in.send(element.NetHdr, udp("10.0.0.2", "10.0.0.1", nil), 0)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d packets had another one's mark", n, received.Load())
	}
	if s := l.show("net0"); s.Marking.Unmarked == 0 {
		t.Error("nothing is counted as unmarked")
	}
}
