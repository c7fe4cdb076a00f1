// Package tuntap opens a TUN or TAP device and reads and writes its packets.
//
// It moves packets and nothing else: it does not interpret them, sets no
// address, MTU or route, and does not bring the interface up (package link
// does). A Device has one queue, or with Config.MultiQueue as many as AddQueues
// attaches, which Read reads in turns. With Config.VnetHdr a virtio_net_hdr
// stands before each packet, and SetOffload lets the kernel hand over packets
// of up to 64 KiB; what is in that header is the business of package offload.
//
// The device is known by its descriptor. Name, Index and NetNS ask the kernel
// each time, so they follow when the administrator renames the interface or
// moves it to another network namespace. Packets flow on during the move.
//
// All methods of a Device may be called from any goroutine, and Read and Write
// at the same time. With several queues, Read is called for one at a time. A
// second Wait waits for the first.
//
// Everything in a packet that is read comes from programs of this machine and
// is not to be trusted; a packet never makes a method fail in a lasting way.
// A program that may change interfaces can delete this one: then Gone reports
// true, and Read, Write and Wait return ErrGone.
//
// To forward what an interface sends:
//
//	dev, err := tuntap.Open(tuntap.Config{Name: "net0"})
//	if err != nil {
//		return err
//	}
//	defer dev.Close()
//	buf := make([]byte, 65535)
//	for {
//		var n int
//		var err error
//		werr := dev.Wait(func() bool {
//			n, _, err = dev.Read(buf)
//			return err != tuntap.ErrAgain
//		})
//		if werr != nil {
//			return werr
//		}
//		if err != nil {
//			return err
//		}
//		forward(buf[:n])
//	}
package tuntap
