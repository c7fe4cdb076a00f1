package skbmark_test

import (
	"testing"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
)

// The cost of a device at startup: both directions, loaded and closed.
func BenchmarkLoad(b *testing.B) {
	testnet.Privileged(b)
	for b.Loop() {
		o, err := skbmark.NewOutgoing()
		if err != nil {
			b.Fatal(err)
		}
		i, err := skbmark.NewIncoming()
		if err != nil {
			b.Fatal(err)
		}
		o.Close()
		i.Close()
	}
}

// Sending 4 bytes over UDP and reading the packet, without and with programs.
func BenchmarkSendAndRead(b *testing.B) {
	b.Run("NoPrograms", func(b *testing.B) { sendAndRead(b, false, 0, 0) })
	b.Run("Unmarked", func(b *testing.B) { sendAndRead(b, true, 0, 0) })
	b.Run("OneMark", func(b *testing.B) { sendAndRead(b, true, 7, 0) })
	b.Run("OneMarkOf255", func(b *testing.B) { sendAndRead(b, true, 7, 254) })
	b.Run("OverflowOf255", func(b *testing.B) { sendAndRead(b, true, 7, 255) })
}

func sendAndRead(b *testing.B, programs bool, mark, others uint32) {
	testnet.Privileged(b)
	ns := testnet.New(b)
	ns.Quiet()
	d := openDevice(b, ns, "t0", skbmark.MaxQueues)
	s := newSender(b, ns)
	queue := 0
	if programs {
		o := outgoing(b, d)
		for m := range others {
			mustSend(b, s, 1000+m)
		}
		mustSend(b, s, mark)
		drainAll(b, d, o)
		for q := range d.queues {
			if o.Mark(q) == mark {
				queue = q
			}
		}
	}
	mustSend(b, s, mark)
	for b.Loop() {
		if err := s.sendAgain(); err != nil {
			b.Fatal(err)
		}
		if _, _, err := d.read(queue); err != nil {
			b.Fatal(err)
		}
	}
}

// Writing a packet that has no receiver, without and with the program.
func BenchmarkWrite(b *testing.B) {
	for _, name := range []string{"NoProgram", "Armed"} {
		b.Run(name, func(b *testing.B) {
			testnet.Privileged(b)
			ns := testnet.New(b)
			ns.Quiet()
			d := openDevice(b, ns, "t0", 1)
			i := newIncoming(b)
			armed := name == "Armed"
			if armed {
				attach(b, ns, "t0", i)
			}
			p := packet(7)
			p[0] = 0x40 // not an IPv4 header: dropped as early as possible
			for b.Loop() {
				if armed {
					i.Arm(7)
				}
				write(b, d, p)
				if !i.Seen() {
					b.Fatal("Seen reports false")
				}
			}
		})
	}
}

func BenchmarkMark(b *testing.B) {
	testnet.Privileged(b)
	o, err := skbmark.NewOutgoing()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	for b.Loop() {
		_ = o.Mark(3)
	}
}

func BenchmarkArmAndSeen(b *testing.B) {
	testnet.Privileged(b)
	i := newIncoming(b)
	for b.Loop() {
		i.Arm(7)
		_ = i.Seen()
	}
}

func BenchmarkGrace(b *testing.B) {
	testnet.Privileged(b)
	for b.Loop() {
		if err := skbmark.Grace(); err != nil {
			b.Fatal(err)
		}
	}
}
