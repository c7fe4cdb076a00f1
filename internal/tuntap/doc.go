// Package tuntap opens a TUN or TAP device and reads and writes its packets.
//
// It only moves packets. Package link sets addresses and MTU and brings the
// interface up. A Device has one queue; with Config.MultiQueue AddQueues
// attaches more, which Read reads in turn. With Config.VnetHdr each packet
// begins with a virtio_net_hdr, and SetOffload lets the kernel hand over
// packets of up to 64 KiB; package offload interprets that header.
//
// A Device is identified by its descriptor. Name, Index and NetNS ask the
// kernel each time, and so stay right when the interface is renamed or moved to
// another network namespace. Neither interrupts the packets.
//
// The methods of a Device are safe for concurrent use, except that with several
// queues only one goroutine at a time may call Read. A second Wait waits for
// the first.
//
// Packets that are read come from local programs and are not trusted; no packet
// makes a method fail for good. An administrator can delete the interface: then
// Gone reports true, and Read, Write and Wait return ErrGone.
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
