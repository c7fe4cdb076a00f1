package element

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
)

// ipElement builds an element of size bytes with arbitrary header fields around
// a packet, as a peer may write it.
func ipElement(size int, mark uint32, length uint16, protocol, qos uint8, packet []byte) []byte {
	elem := make([]byte, size)
	binary.LittleEndian.PutUint32(elem, mark)
	binary.LittleEndian.PutUint16(elem[4:], length)
	elem[6], elem[7] = protocol, qos
	copy(elem[8:], packet)
	return elem
}

func ethElement(size int, length uint16) []byte {
	elem := pattern(size)
	binary.LittleEndian.PutUint16(elem[size-2:], length)
	return elem
}

// withLength sets the total length (IPv4) or payload length (IPv6) of an IP
// packet.
func withLength(packet []byte, length uint16) []byte {
	offset := 2
	if packet[0]>>4 == 6 {
		offset = 4
	}
	binary.BigEndian.PutUint16(packet[offset:], length)
	return packet
}

func TestDecodeHostile(t *testing.T) {
	v4 := func(total uint16) []byte { return withLength(ipPacket(4, 1500), total) }
	v6 := func(payload uint16) []byte { return withLength(ipPacket(6, 1500), payload) }
	for _, c := range []struct {
		name string
		f    Format
		elem []byte
		want Fault
		n    int // bytes delivered
	}{
		{"length and qos fields are ignored", NetHdr, ipElement(1508, 7, 0xffff, 4, 0xff, v4(60)), OK, 60},
		{"length field 0", NetHdr, ipElement(1508, 7, 0, 4, 0, v4(1500)), OK, 1500},
		{"IPv4 of 20 bytes", NetHdr, ipElement(1508, 0, 20, 4, 0, v4(20)), OK, 20},
		{"IPv4 of 19 bytes", NetHdr, ipElement(1508, 0, 19, 4, 0, v4(19)), BadLength, 0},
		{"IPv4 of 0 bytes", NetHdr, ipElement(1508, 0, 60, 4, 0, v4(0)), BadLength, 0},
		{"IPv4 up to the end", NetHdr, ipElement(1508, 0, 60, 4, 0, v4(1500)), OK, 1500},
		{"IPv4 beyond the end", NetHdr, ipElement(1508, 0, 60, 4, 0, v4(1501)), BadLength, 0},
		{"IPv4 of 65535 bytes", NetHdr, ipElement(1508, 0, 60, 4, 0, v4(65535)), BadLength, 0},
		{"IPv6 without payload", NetHdr, ipElement(1508, 0, 40, 41, 0, v6(0)), OK, 40},
		{"IPv6 up to the end", NetHdr, ipElement(1508, 0, 40, 41, 0, v6(1460)), OK, 1500},
		{"IPv6 beyond the end", NetHdr, ipElement(1508, 0, 40, 41, 0, v6(1461)), BadLength, 0},
		{"IPv6 of 65575 bytes", NetHdr, ipElement(1508, 0, 40, 41, 0, v6(65535)), BadLength, 0},
		{"IPv6 in an element that is too small", NetHdr, ipElement(47, 0, 40, 41, 0, v6(0)), BadLength, 0},
		{"IPv4 in the smallest element", NetHdr, ipElement(28, 0, 20, 4, 0, v4(20)), OK, 20},
		{"element below the minimum", NetHdr, ipElement(27, 0, 20, 4, 0, v4(19)), BadElement, 0},
		{"zeros", NetHdr, make([]byte, 1508), BadProtocol, 0},
		{"protocol 6", NetHdr, ipElement(1508, 0, 60, 6, 0, v4(60)), BadProtocol, 0},
		{"protocol 255", NetHdr, ipElement(1508, 0, 60, 255, 0, v4(60)), BadProtocol, 0},
		{"IPv4 announced, IPv6 inside", NetHdr, ipElement(1508, 0, 60, 4, 0, v6(20)), BadVersion, 0},
		{"IPv6 announced, IPv4 inside", NetHdr, ipElement(1508, 0, 60, 41, 0, v4(60)), BadVersion, 0},
		{"IPv4 announced, version 0 inside", NetHdr, ipElement(1508, 0, 60, 4, 0, make([]byte, 60)), BadVersion, 0},
		{"frame of 14 bytes", EthDev, ethElement(1516, 14), OK, 14},
		{"frame of 13 bytes", EthDev, ethElement(1516, 13), BadLength, 0},
		{"frame of 0 bytes", EthDev, ethElement(1516, 0), BadLength, 0},
		{"frame up to the trailer", EthDev, ethElement(1516, 1514), OK, 1514},
		{"frame into the trailer", EthDev, ethElement(1516, 1515), BadLength, 0},
		{"frame of 65535 bytes", EthDev, ethElement(1516, 65535), BadLength, 0},
		{"smallest element", EthDev, ethElement(16, 14), OK, 14},
		{"element below the minimum", EthDev, ethElement(15, 13), BadElement, 0},
		{"empty element", EthDev, nil, BadElement, 0},
		{"raw zeros", Raw, make([]byte, 64), OK, 64},
		{"raw empty element", Raw, nil, BadElement, 0},
	} {
		t.Run(c.f.String()+"/"+c.name, func(t *testing.T) {
			dst := make([]byte, len(c.elem))
			packet, fault := c.f.Decode(dst, c.elem)
			if fault != c.want || len(packet.Data) != c.n {
				t.Fatalf("got %v with %d bytes, want %v with %d", fault, len(packet.Data), c.want, c.n)
			}
			if fault != OK {
				if packet.Data != nil || packet.Mark != 0 {
					t.Errorf("%v, but delivered %+v", fault, packet)
				}
				return
			}
			start := 0
			if c.f == NetHdr {
				start = 8
			}
			if &packet.Data[0] != &dst[start] {
				t.Error("the packet does not alias dst")
			}
			if !bytes.Equal(packet.Data, c.elem[start:start+c.n]) {
				t.Errorf("got %x", packet.Data)
			}
		})
	}
}

// Appending to a packet must not overwrite bytes after it, where the next
// packet of a batch may lie.
func TestPacketHasNoCapacityBehindIt(t *testing.T) {
	for _, f := range formats {
		slot, dst := make([]byte, 200), make([]byte, 400)
		f.Encode(slot, packetFor(f, 60), 0)
		packet, fault := f.Decode(dst, slot)
		if fault != OK || cap(packet.Data) != len(packet.Data) {
			t.Errorf("%v: %v, %d bytes with capacity %d", f, fault, len(packet.Data), cap(packet.Data))
		}
	}
}

// Decode does not read bytes that the packet does not need: touching them would
// cost cache misses and page faults.
func TestDecodeCopiesNoMoreThanNeeded(t *testing.T) {
	for f, want := range map[Format]int{NetHdr: 8 + 60, EthDev: 60 + 2} {
		slot, dst := bytes.Repeat([]byte{0xff}, 1508), make([]byte, 1508)
		f.Encode(slot, ipPacket(4, 60), 0xffffffff)
		if _, fault := f.Decode(dst, slot); fault != OK {
			t.Fatal(f, fault)
		}
		last := dst[60:]
		if f == NetHdr {
			last = dst[68:]
		} else {
			last = last[:len(last)-2]
		}
		if bytes.IndexByte(last, 0xff) >= 0 {
			t.Errorf("%v: copied more than %d bytes", f, want)
		}
	}
}

// sameFromCopy checks that a result of Decode follows from dst: decoding dst
// again must give the same result. A Decode that read a byte of the slot twice
// would fail this while the slot changes.
func sameFromCopy(t *testing.T, f Format, dst []byte, packet Packet, fault Fault) {
	t.Helper()
	again, faultAgain := f.Decode(make([]byte, len(dst)), dst)
	if fault != faultAgain || packet.Mark != again.Mark || !bytes.Equal(packet.Data, again.Data) {
		t.Fatalf("%v: got %v, %d bytes, mark %#x, but the copy says %v, %d bytes, mark %#x",
			f, fault, len(packet.Data), packet.Mark, faultAgain, len(again.Data), again.Mark)
	}
}

// A peer keeps rewriting the fields during Decode. The slot is mapped memory,
// as in production: the race detector does not watch it, and bytes change in
// the middle of reads.
func TestDecodeWhilePeerWrites(t *testing.T) {
	const size = 2048
	slot, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("map %d bytes: %v", size, err)
	}
	var stop atomic.Bool
	done := make(chan struct{})
	defer func() {
		stop.Store(true)
		<-done
		if err := syscall.Munmap(slot); err != nil {
			t.Errorf("unmap: %v", err)
		}
	}()
	go func() {
		defer close(done)
		random := rand.New(rand.NewPCG(1, 2))
		for !stop.Load() {
			choice := random.Uint64()
			binary.LittleEndian.PutUint32(slot, uint32(choice))
			slot[6] = byte(4 + choice>>8&1*37)
			slot[8] = byte(0x45 + choice>>9&1*0x20)
			slot[10], slot[11] = byte(choice>>16)&0xf, byte(choice>>24)
			slot[12], slot[13] = byte(choice>>32)&0xf, byte(choice>>40)
			slot[20] = byte(choice >> 48)
			binary.LittleEndian.PutUint16(slot[size-2:], uint16(choice>>20)&0xfff)
		}
	}()

	dst := make([]byte, size)
	seen := map[Format][NumFaults]int{}
	for _, f := range formats {
		var counts [NumFaults]int
		for range 50000 {
			packet, fault := f.Decode(dst, slot)
			counts[fault]++
			sameFromCopy(t, f, dst, packet, fault)
		}
		seen[f] = counts
	}
	t.Log("faults by format:", seen)
}
