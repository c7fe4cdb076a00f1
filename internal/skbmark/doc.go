// Package skbmark carries the Netfilter mark (skb->mark) of packets through a
// TUN device, which has no field for it. Packets are not changed: three small
// eBPF programs in bpf/skbmark.c carry the marks separately.
//
// Outgoing packets go from the network stack to the device's reader. The device
// has several queues, each of which carries one mark, so the number of the
// queue determines the mark:
//
//	network stack                                          user space
//	   |
//	steering program: mark -> queue         slot[256], shared memory
//	   |   mark 0: queue 0                  +-----------------------+
//	   |   known mark: its queue  <-------> | 1: 0x0007 open        |
//	   |   new mark: a free slot  --------> | 2: 0x1234 open        |
//	   v                                    | 3: 0x0064 closed      | <-- Retire
//	 qdisc, any delay                       | 4: free               | <-- Release
//	   |                                    +-----------------------+
//	   v                                       ^           |
//	filter program: is queue q still open -----+           |
//	   |  for this mark? else count and drop               v
//	   v                                                Mark(q)
//	queue q  ----------------- read ------------------>  packet
//
// A slot gets its mark before the first packet can be queued. It loses the mark
// in steps that never let a packet meet the mark of another:
//
//	free --- steering program ---> open: as long as packets use it
//	open --- Retire -------------> closed: nothing enters its queue any more
//	         Grace: packets that had passed the filter program are in the queue
//	         the reader drains the queue
//	closed - Release ------------> free: for any mark
//
// Packets that are still waiting in a qdisc are safe: the filter program sees
// that their slot is closed or has another mark, and drops them. With 255 slots
// many marks can be live at the same time. A packet whose mark finds no slot is
// counted and dropped, never sent with a wrong mark.
//
// Incoming packets go from the device's writer to the network stack. A write to
// a TUN runs the receive path before it returns. So one word of shared memory,
// the armed mark, belongs to exactly the packet being written:
//
//	user space                                              kernel
//	Arm(mark) ------> armed = sequence, mark
//	write(packet) ---------------------------------> tcx or clsact ingress program:
//	                                                   skb->mark = mark
//	                  seen = sequence <-------------   seen = sequence
//	Seen() <--------  is it the one just armed?      routing, Netfilter, sockets
//	<----------------------------------------------- write returns
//
// This does not hold if an administrator enables receive packet steering (RPS)
// on the device. Then Seen reports false after the first packet, and the caller
// stops arming. As nothing else was armed before that, no packet gets the mark
// of another.
//
// The package does not open devices, read or write packets, or decide what a
// mark means. The slots are its only state about queues. It supports only TUN
// devices: on a TAP, XDP programs can redirect frames into any queue and so
// bypass both programs. Processors must be little-endian.
//
// Call Mark and Release only from the goroutine that reads the queue: if
// another one released it between the read of a packet and Mark, Mark would
// return the next mark. Any goroutine may call the other methods of an
// Outgoing, and Grace. An Incoming belongs to the goroutine that writes to the
// device. Close must be the last call to either, without concurrent calls.
//
// The kernel is trusted, and so are users who may configure interfaces or load
// programs. If tc rules change a packet's queue or mark after the steering
// program, the filter drops and counts the packet. But if a tc rule of another
// interface redirects packets to the ingress of this one, they can get the mark
// of the packet that is being written at that moment. Programs that send
// packets choose marks within their privileges, and so can use up the slots of
// an interface; they can neither forge the mark of another program's packet nor
// block queue 0. Peers behind a channel choose incoming marks, and any value is
// valid.
//
// Loading the programs needs root, or CAP_BPF and CAP_NET_ADMIN, in the initial
// user namespace. It does not need kernel type information (BTF).
//
// To carry outgoing marks and reclaim idle queues from time to time:
//
//	out, err := skbmark.NewOutgoing()
//	if err != nil {
//		return err // errors.Is ErrUnsupported, ErrPermission: continue without marks
//	}
//	err = out.Attach(queueFD[0])
//	out.SetQueues(len(queueFD))
//	...
//	n, err := unix.Read(queueFD[q], packet)
//	mark := out.Mark(q)
//	...
//	retired := out.Retire()
//	err = skbmark.Grace()
//	for _, q := range retired {
//		drain(q) // read until empty
//		out.Release(q)
//	}
package skbmark
