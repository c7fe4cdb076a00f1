package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// packetSocket opens a packet socket that gets what an interface receives, but
// not what is sent through it. The caller closes it.
func packetSocket(name string) (fd int, to *unix.SockaddrLinklayer, err error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return -1, nil, err
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // network order
	to = &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("packet socket on %s: %w", name, err)
	}
	// What is sent on a raw interface has no protocol.
	return fd, &unix.SockaddrLinklayer{Ifindex: i.Index}, nil
}

// reflect sends back every packet that the interface receives, from now on.
func reflect(t Task) (r Result, err error) {
	fd, to, err := packetSocket(t.Interface)
	if err != nil {
		return r, err
	}
	go func() {
		defer unix.Close(fd)
		buf := make([]byte, 1<<16)
		for {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err == unix.EINTR || err == unix.ENETDOWN {
				continue
			}
			if err != nil {
				return
			}
			// The receiver misses what cannot be sent.
			_ = unix.Sendto(fd, buf[:n], 0, to)
		}
	}()
	return r, nil
}

// frames sends Count packets of Size bytes and expects each to come back from
// where they are reflected. A raw channel has elements of one size: what comes
// back may be longer by zeros.
func frames(t Task) (r Result, err error) {
	fd, to, err := packetSocket(t.Interface)
	if err != nil {
		return r, err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return r, err
	}
	data, buf := make([]byte, t.Size), make([]byte, 1<<16)
	var trips []time.Duration
	start := time.Now()
	for i := range orDefault(t.Count, 1) {
		fillRandom(data)
		begun := time.Now()
		if err := unix.Sendto(fd, data, 0, to); err != nil {
			return r, fmt.Errorf("send packet %d: %w", i, err)
		}
		n, err := receiveOther(fd, buf)
		if err != nil {
			return r, fmt.Errorf("packet %d of %d bytes does not come back: %w", i, t.Size, err)
		}
		trips = append(trips, time.Since(begun))
		got, padding := buf[:min(n, t.Size)], buf[min(n, t.Size):n]
		if !bytes.Equal(got, data) || len(bytes.Trim(padding, "\x00")) > 0 {
			return r, fmt.Errorf("packet %d of %d bytes comes back as %d other ones, which begin with %x", i, t.Size, n, buf[:min(n, 48)])
		}
	}
	return roundTrips(trips, time.Since(start)), nil
}

// receiveOther receives the next packet that is none of the kernels' own: they
// look for routers on any interface.
func receiveOther(fd int, buf []byte) (n int, err error) {
	for {
		n, _, err = unix.Recvfrom(fd, buf, 0)
		if err != nil || !isDiscovery(buf[:n]) {
			return n, err
		}
	}
}

// isDiscovery tells whether a packet is one of neighbour discovery, RFC 4861:
// IPv6, ICMPv6, a hop limit of 255.
func isDiscovery(p []byte) bool {
	return len(p) >= 48 && p[0]>>4 == 6 && p[6] == unix.IPPROTO_ICMPV6 && p[7] == 255
}
