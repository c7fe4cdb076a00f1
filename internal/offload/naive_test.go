package offload

import (
	"bytes"
	"encoding/binary"
)

// naiveSplit splits the valid TCP or UDP super-packet p into segments with size
// bytes of payload, setting the fields in the order of RFC 9293 and RFC 768. ip
// is the offset of the IP header.
func naiveSplit(p []byte, ip, transport int, udp bool, size int) [][]byte {
	headers := transport + 8
	if !udp {
		headers = transport + int(p[transport+12]>>4)*4
	}
	payload := p[headers:]
	var all [][]byte
	for i := 0; i == 0 || i*size < len(payload); i++ {
		part := payload[i*size : min(len(payload), (i+1)*size)]
		q := append(append([]byte{}, p[:headers]...), part...)
		last := (i+1)*size >= len(payload)
		n := uint16(len(q) - ip)
		protocol := byte(protocolUDP)
		if q[ip]>>4 == 4 {
			binary.BigEndian.PutUint16(q[ip+2:], n)
			binary.BigEndian.PutUint16(q[ip+4:], binary.BigEndian.Uint16(p[ip+4:])+uint16(i))
		} else {
			binary.BigEndian.PutUint16(q[ip+4:], n-40)
		}
		if udp {
			binary.BigEndian.PutUint16(q[transport+4:], uint16(len(q)-transport))
		} else {
			protocol = protocolTCP
			binary.BigEndian.PutUint32(q[transport+4:], binary.BigEndian.Uint32(p[transport+4:])+uint32(i*size))
			if !last {
				q[transport+13] &^= 0x09
			}
			if i > 0 {
				q[transport+13] &^= 0x80
			}
		}
		seal(q[ip:], transport-ip, protocol)
		all = append(all, q)
	}
	return all
}

// naiveMerge returns how many packets at the beginning of all belong into one
// super-packet: as many as naiveSplit can restore from it.
func naiveMerge(all [][]byte, eth, udp bool) int {
	first := all[0]
	ip := 0
	if eth {
		ip = 14
		if len(first) < 14 || !bytes.Equal(first[12:14], []byte{8, 0}) && !bytes.Equal(first[12:14], []byte{0x86, 0xdd}) {
			return 1
		}
		if len(first) > 14 && (first[12] == 8) != (first[14]>>4 == 4) {
			return 1
		}
	}
	var transport int
	var protocol byte
	switch h := first[ip:]; {
	case len(h) > 20 && h[0] == 0x45 && h[6]&0xbf == 0 && h[7] == 0:
		transport, protocol = ip+20, h[9]
	case len(h) > 40 && h[0]>>4 == 6:
		transport, protocol = ip+40, h[6]
	default:
		return 1
	}
	headers := transport + 8
	switch h := first[transport:]; {
	case protocol == 6 && len(h) > 20 && h[13]&0xa6 == 0 && h[12] >= 0x50:
		headers = transport + int(h[12]>>4)*4
	case protocol == 17 && len(h) > 8 && udp:
	default:
		return 1
	}
	size := len(first) - headers
	if size <= 0 {
		return 1
	}
	together := append([]byte{}, first...)
	for n := 1; ; n++ {
		if n == len(all) || n == 64 || len(all[n]) <= headers || len(all[n]) > len(first) {
			return n
		}
		together = append(together, all[n][headers:]...)
		if len(together)-ip > 65535 {
			return n
		}
		if protocol == 6 {
			together[transport+13] = all[n][transport+13]
		}
		// naiveSplit sets lengths and checksums, so it does not restore
		// a packet with wrong ones.
		back := naiveSplit(together, ip, transport, protocol == 17, size)
		if len(back) != n+1 {
			return n
		}
		for i := range back {
			if !bytes.Equal(back[i], all[i]) {
				return n
			}
		}
	}
}
