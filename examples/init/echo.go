package main

import (
	"fmt"
	"io"
	"net"
)

// echoPort is that of the echo service, RFC 862.
const echoPort = ":7"

// echo starts the echo service on all addresses, those to come included.
func (n *network) echo() error {
	listener, err := net.Listen("tcp", echoPort)
	if err != nil {
		return fmt.Errorf("start echo service: %w", err)
	}
	packets, err := net.ListenPacket("udp", echoPort)
	if err != nil {
		listener.Close()
		return fmt.Errorf("start echo service: %w", err)
	}
	go n.echoStreams(listener)
	go n.echoPackets(packets)
	return nil
}

func (n *network) echoStreams(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			n.log.Error(fmt.Sprintf("echo service: %v", err))
			return
		}
		go func() {
			defer conn.Close()
			// How a client goes away is its own business.
			_, _ = io.Copy(conn, conn)
		}()
	}
}

func (n *network) echoPackets(conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			n.log.Error(fmt.Sprintf("echo service: %v", err))
			return
		}
		// An answer that cannot be sent is lost, as datagrams are.
		_, _ = conn.WriteTo(buf[:size], from)
	}
}
