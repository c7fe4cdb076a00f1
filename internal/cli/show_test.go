package cli

import (
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
)

func TestPrintStatus(t *testing.T) {
	end := api.Channel{Region: "/dev/shm/muennet/a", RegionSize: 1048576, Memory: "file", Owner: "root", Enabled: true, Protocol: "0x12", Epoch: "0xabc",
		ElementSize: 1508, Elements: 695, Doorbell: "futex"}
	broken := end
	broken.Memory, broken.Mapping = "pci", "uncached, reads 80 MB/s"
	broken.Enabled, broken.Error = false, "the device was removed"
	end.File, end.Replaced = "its file was removed", 3
	broken.Doorbell, broken.DoorbellError = "polling", "the channel has no interrupt of its own"
	var b strings.Builder
	err := printStatus(&b, api.Interface{
		Name: "net0", Index: 4, NetNS: 4026531840, Mode: "net_hdr", In: "a", Out: "b", MTU: 1500, Up: true, Carrier: "admin", Poll: 2, Renew: 2,
		Writer: &api.Writer{Channel: end, Written: 5, Rings: 3, RingErrors: 1, Waits: 21, Renewals: 22},
		Reader: &api.Reader{Channel: broken, Peer: "incompatible", Reason: "protocol is 0xc, expected 0x12", Epochs: 2, Overruns: 1,
			Lost: 300, ProtocolErrors: 6, Wakeups: 7, Timeouts: 8},
		Stats: api.Stats{RxPackets: 1, TxPackets: 2, RxBytes: 3, TxBytes: 4, RxErrors: 5, RxDropped: 6, TxDropped: 7, RxOverErrors: 8, RxFrameErrors: 9},
		Drops: map[string]uint64{"tx_oversize": 7, "rx_bad_length": 9},
		PMTU:  "mtus", PMTUFile: "its file was replaced", Offload: "tso uso gro", Merged: 17, Oversize: 19,
		Marking: &api.Marking{Outgoing: "active", Incoming: "active (tcx)", Queues: 2, Overflows: 3, Mismatches: 4, Unmarked: 5},
		Children: []api.Child{
			{Name: "child0", Index: 5, NetNS: 4026531840, MTU: 1400, Up: true, Marks: []uint32{7, 0xffffffff},
				Marking: &api.Marking{Outgoing: "eBPF is switched off", Incoming: "eBPF is switched off", Queues: 1},
				Adopted: true, Offload: "tso", Merged: 18, Oversize: 20, Stats: api.Stats{RxPackets: 11, RxBytes: 12, RxDropped: 13, TxPackets: 14, TxBytes: 15, TxDropped: 16},
				Drops: map[string]uint64{"tx_oversize": 16}},
			{Name: "c1", Marks: []uint32{}, Offload: "off"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `name: net0
in/out: a:b
mtu: 1500
flags: net_hdr
poll: every 2 µs
writer is enabled
writer.element_size: 1508
reader is disabled
stats.rx_packets: 1
stats.rx_bytes: 3
stats.rx_errors: 5
stats.rx_over_errors: 8
stats.rx_frame_errors: 9
stats.tx_packets: 2
stats.tx_bytes: 4

poll.longest:            2ms
stats.rx_dropped:        6
stats.tx_dropped:        7
stats.rx_oversize:       19
drops.rx_bad_length:     9
drops.tx_oversize:       7
ifindex:                 4
netns:                   4026531840
up:                      yes
carrier:                 admin
renew:                   after 2 s
adopted:                 no
offload:                 tso uso gro
offload.merged:          17
pmtu:                    mtus
pmtu.file:               its file was replaced
writer.region:           /dev/shm/muennet/a (1048576 bytes)
writer.memory:           file
writer.owner:            root
writer.file:             its file was removed
writer.replaced:         3
writer.protocol:         0x12
writer.epoch:            0xabc
writer.elements:         695
writer.doorbell:         futex
writer.written:          5
writer.rings:            3
writer.ring_errors:      1
writer.waits:            21
writer.renewals:         22
reader.region:           /dev/shm/muennet/a (1048576 bytes)
reader.memory:           pci: uncached, reads 80 MB/s
reader.owner:            root
reader.error:            the device was removed
reader.protocol:         0x12
reader.epoch:            0xabc
reader.elements:         695
reader.doorbell:         polling: the channel has no interrupt of its own
reader.peer:             incompatible: protocol is 0xc, expected 0x12
reader.epochs:           2
reader.overruns:         1
reader.lost:             300
reader.protocol_errors:  6
reader.wakeups:          7
reader.timeouts:         8
marking.outgoing:        active
marking.incoming:        active (tcx)
marking.queues:          2
marking.overflows:       3
marking.mismatches:      4
marking.unmarked:        5
child.child0.marks:      7 4294967295
child.child0.ifindex:    5
child.child0.netns:      4026531840
child.child0.up:         yes
child.child0.adopted:    yes
child.child0.offload:    tso
child.child0.offload.merged: 18
child.child0.marking.outgoing: eBPF is switched off
child.child0.marking.incoming: eBPF is switched off
child.child0.marking.queues: 1
child.child0.marking.overflows: 0
child.child0.marking.mismatches: 0
child.child0.marking.unmarked: 0
child.child0.mtu:        1400
child.child0.stats.rx_packets: 11
child.child0.stats.rx_bytes: 12
child.child0.stats.tx_packets: 14
child.child0.stats.tx_bytes: 15
child.child0.stats.rx_dropped: 13
child.child0.stats.rx_oversize: 20
child.child0.stats.tx_dropped: 16
child.child0.drops.tx_oversize: 16
child.c1.marks:          (none)
child.c1.ifindex:        0
child.c1.netns:          none (kernel without CONFIG_NET_NS)
child.c1.up:             no
child.c1.adopted:        no
child.c1.offload:        off
child.c1.offload.merged: 0
child.c1.mtu:            0
child.c1.stats.rx_packets: 0
child.c1.stats.rx_bytes: 0
child.c1.stats.tx_packets: 0
child.c1.stats.tx_bytes: 0
child.c1.stats.rx_dropped: 0
child.c1.stats.rx_oversize: 0
child.c1.stats.tx_dropped: 0
`
	if b.String() != want {
		t.Errorf("prints\n%s, want\n%s", b.String(), want)
	}
}

// TestPrintOneWay: an absent direction is disabled and has no lines of its own.
func TestPrintOneWay(t *testing.T) {
	var b strings.Builder
	if err := printStatus(&b, api.Interface{Name: "net0", Mode: "raw", In: "a", Reader: &api.Reader{}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"in/out: a:\n", "flags: (none)\n", "poll: every 0 µs\n", "poll.longest:            50µs\n", "writer is disabled\n", "reader is disabled\n", "reader.peer:", "renew:                   never\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "writer.") {
		t.Errorf("lines of a writer in\n%s", b.String())
	}
}

// TestPrintEnds: the lines of an end are those of the module. Its reader has a
// size once a compatible writer was seen, and keeps it.
func TestPrintEnds(t *testing.T) {
	const no, yes = "reader is disabled\n", "reader is enabled\nreader.element_size: 1508\n"
	for _, tc := range []struct {
		what   string
		reader api.Reader
		want   string
	}{
		{"no writer yet", api.Reader{Channel: api.Channel{Enabled: true}, Peer: "inactive"}, no},
		{"an incompatible one", api.Reader{Channel: api.Channel{Enabled: true}, Peer: "incompatible"}, no},
		{"a writer", api.Reader{Channel: api.Channel{Enabled: true, ElementSize: 1508}, Peer: "active", SeenElementSize: 1508}, yes},
		{"it has stopped", api.Reader{Channel: api.Channel{Enabled: true}, Peer: "inactive", SeenElementSize: 1508}, yes},
		{"the interface is down", api.Reader{SeenElementSize: 1508}, yes},
		{"the region is gone", api.Reader{Channel: api.Channel{Error: "it shrank"}, SeenElementSize: 1508}, no},
	} {
		var b strings.Builder
		if err := printStatus(&b, api.Interface{Name: "net0", Mode: "raw", In: "a", Reader: &tc.reader}); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); !strings.Contains(text, "\nwriter is disabled\n"+tc.want+"stats.rx_packets: ") {
			t.Errorf("%s: prints\n%s", tc.what, text)
		}
	}
}

// TestPrintChild: a child is printed like an interface, with its parent's
// channels.
func TestPrintChild(t *testing.T) {
	parent := api.Interface{Name: "net0", Mode: "net_hdr", In: "a", Out: "b", MTU: 1500, Poll: 1, Stats: api.Stats{RxPackets: 99},
		Writer: &api.Writer{Channel: api.Channel{Enabled: true, ElementSize: 1508}}, Reader: &api.Reader{SeenElementSize: 1408}}
	child := api.Child{Name: "child0", Index: 5, NetNS: 7, MTU: 1400, Up: true, Marks: []uint32{7, 9}, Offload: "off",
		Marking: &api.Marking{Outgoing: "active", Incoming: "active (tcx)", Queues: 2},
		Stats:   api.Stats{RxPackets: 1, RxBytes: 2, RxDropped: 3, TxPackets: 4, TxBytes: 5, TxDropped: 6}, Drops: map[string]uint64{"tx_oversize": 6}}
	var b strings.Builder
	if err := printChild(&b, parent, child); err != nil {
		t.Fatal(err)
	}
	want := `name: child0
in/out: a:b
mtu: 1400
flags: net_hdr
poll: every 1 µs
writer is enabled
writer.element_size: 1508
reader is enabled
reader.element_size: 1408
stats.rx_packets: 1
stats.rx_bytes: 2
stats.rx_errors: 0
stats.rx_over_errors: 0
stats.rx_frame_errors: 0
stats.tx_packets: 4
stats.tx_bytes: 5

parent:                  net0
marks:                   7 9
ifindex:                 5
netns:                   7
up:                      yes
adopted:                 no
offload:                 off
offload.merged:          0
marking.outgoing:        active
marking.incoming:        active (tcx)
marking.queues:          2
marking.overflows:       0
marking.mismatches:      0
marking.unmarked:        0
stats.rx_dropped:        3
stats.rx_oversize:       0
stats.tx_dropped:        6
drops.tx_oversize:       6
`
	if b.String() != want {
		t.Errorf("prints\n%s, want\n%s", b.String(), want)
	}
}
