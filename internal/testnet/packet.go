package testnet

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// PacketConfig says what a packet socket receives and sends.
type PacketConfig struct {
	Interface string // required
	Protocol  uint16 // ethertype to receive; 0 = all
	Send      uint16 // ethertype of sent packets, for a device without link-layer header (a TUN ignores it)
	Outgoing  bool   // also receive packets that leave through the interface, from other sockets too
}

// PacketSocket is an AF_PACKET, SOCK_RAW socket bound to an interface. Send and
// Recv may be called at the same time, but each from one goroutine only.
type PacketSocket struct {
	t    testing.TB
	file *os.File
	raw  syscall.RawConn
	to   unix.SockaddrLinklayer
	buf  []byte
	oob  []byte // control messages of what is in buf
}

// Packet opens a packet socket in the namespace and closes it when the test
// ends. The socket stays on its interface if that is renamed.
func (n *NS) Packet(cfg PacketConfig) *PacketSocket {
	n.t.Helper()
	index := n.Index(cfg.Interface)
	p := &PacketSocket{t: n.t, buf: make([]byte, 1<<17), oob: make([]byte, unix.CmsgSpace(auxdataSize))}
	n.Do(func() {
		n.t.Helper()
		// With protocol 0 it receives nothing before it is bound.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			n.t.Fatalf("open packet socket: %v", err)
		}
		p.file = os.NewFile(uintptr(fd), "packet:"+cfg.Interface)
		n.t.Cleanup(p.Close)
		if err := p.setup(fd, cfg, index); err != nil {
			n.t.Fatalf("packet socket on %s: %v", cfg.Interface, err)
		}
	})
	return p
}

func (p *PacketSocket) setup(fd int, cfg PacketConfig, index int) (err error) {
	if !cfg.Outgoing {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignore outgoing packets: %w", err)
		}
	}
	// A test may send a burst before it receives.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		return fmt.Errorf("set receive buffer: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return fmt.Errorf("enable VLAN tags: %w", err)
	}
	protocol := cfg.Protocol
	if protocol == 0 {
		protocol = unix.ETH_P_ALL
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	p.to = unix.SockaddrLinklayer{Protocol: networkOrder(cfg.Send), Ifindex: index}
	p.raw, err = p.file.SyscallConn()
	return err
}

// Send sends a packet through the interface as it is, with its link-layer
// header where the interface has one.
func (p *PacketSocket) Send(packet []byte) error {
	var sendErr error
	err := p.raw.Write(func(fd uintptr) bool {
		sendErr = unix.Sendto(int(fd), packet, 0, &p.to)
		return sendErr != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return sendErr
}

// Recv returns the next packet as it came over the wire, with its VLAN tag. The
// packet is valid until the next call. If none comes within the timeout, the
// error wraps os.ErrDeadlineExceeded. With a timeout of 0, Recv returns a
// packet that has already arrived.
func (p *PacketSocket) Recv(timeout time.Duration) ([]byte, error) {
	// With an expired deadline Read would not return even a waiting packet.
	var n, oobn int
	var recvErr error
	try := func(fd uintptr) bool {
		n, oobn, _, _, recvErr = unix.Recvmsg(int(fd), p.buf, p.oob, 0)
		return recvErr != unix.EAGAIN
	}
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	var got bool
	if err := p.raw.Control(func(fd uintptr) { got = try(fd) }); err != nil {
		return nil, err
	}
	if !got {
		if err := p.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return nil, err
		}
		if err := p.raw.Read(try); err != nil {
			return nil, fmt.Errorf("receive packet: %w", err)
		}
	}
	if recvErr != nil {
		return nil, fmt.Errorf("receive packet: %w", recvErr)
	}
	return p.tagged(n, p.oob[:oobn])
}

// auxdataSize is the length of struct tpacket_auxdata of <linux/if_packet.h>:
//
//	offset  size  field
//	0       4     status, TP_STATUS_*
//	4       4     length
//	8       4     captured length
//	12      2     offset of the link-layer header
//	14      2     offset of the network header
//	16      2     VLAN tag: priority and id
//	18      2     VLAN ethertype
const auxdataSize = 20

// tagged returns the packet in p.buf[:n] with its VLAN tag, which the kernel
// removes and reports in a control message.
func (p *PacketSocket) tagged(n int, oob []byte) ([]byte, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive packet: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < auxdataSize {
			continue
		}
		const addresses, tag = 12, 4
		if status := binary.NativeEndian.Uint32(m.Data); status&unix.TP_STATUS_VLAN_VALID == 0 || n < addresses {
			break
		}
		copy(p.buf[addresses+tag:], p.buf[addresses:n])
		binary.BigEndian.PutUint16(p.buf[addresses:], binary.NativeEndian.Uint16(m.Data[18:]))
		binary.BigEndian.PutUint16(p.buf[addresses+2:], binary.NativeEndian.Uint16(m.Data[16:]))
		n += tag
	}
	return p.buf[:n], nil
}

// Close closes the socket. Further calls do nothing.
func (p *PacketSocket) Close() { _ = p.file.Close() }

// networkOrder returns v as the kernel wants a __be16.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)})
}
