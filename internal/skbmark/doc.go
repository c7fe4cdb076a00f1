// Package skbmark carries the Netfilter mark (skb->mark) of packets through a
// TUN device, whose interface has no field for it. Packets are not changed:
// three small eBPF programs, which live in bpf/skbmark.c, do it beside them.
//
// Outgoing packets, from the network stack to the device's reader. The device
// has several queues, and each carries one mark; the number of the queue says
// which:
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
// A slot is given to a mark before the first packet can be queued, and taken
// away in an order that lets no packet meet another's mark:
//
//	free --- steering program ---> open: as long as packets use it
//	open --- Retire -------------> closed: nothing enters its queue from now on
//	         Grace: what had passed the filter program before is in the queue
//	         the reader empties the queue
//	closed - Release ------------> free: for any mark
//
// What waits in a qdisc meanwhile is not lost track of: the filter program sees
// that its slot is closed or has another mark, and drops it. There are 255
// slots, so that many marks can be live at once; a packet whose mark finds none
// is counted and dropped, never sent with a wrong one.
//
// Incoming packets, from the device's writer to the network stack. Writing a
// packet to a TUN runs the receive path before the call returns, so one word of
// shared memory, the armed mark, belongs to exactly the packet being written:
//
//	user space                                              kernel
//	Arm(mark) ------> armed = sequence, mark
//	write(packet) ---------------------------------> tcx or clsact ingress program:
//	                                                   skb->mark = mark
//	                  seen = sequence <-------------   seen = sequence
//	Seen() <--------  is it the one just armed?      routing, Netfilter, sockets
//	<----------------------------------------------- write returns
//
// It runs so unless an administrator sets receive packet steering (RPS) on the
// device. Then Seen reports false after the first packet, and the caller stops
// arming; as nothing else was armed before that answer, no packet has had
// another's mark.
//
// The package does not open devices, read or write packets, or decide what a
// mark is for. It holds no state about queues besides the slots. It is for TUN
// devices only: a TAP lets XDP programs redirect frames into any of its queues,
// past both programs. Processors must be little-endian.
//
// Mark and Release are for the goroutine that reads the queue: if another one
// released it between the read of a packet and Mark, that would answer for the
// next mark. The other methods of an Outgoing, and Grace, may be called from
// anywhere. An Incoming is for the goroutine that writes to the device. Close
// must be the last call to either, and nothing may run beside it.
//
// The kernel is trusted, and so is whoever may configure interfaces or load
// programs: tc rules that change a packet's queue or mark behind the steering
// program make the filter drop and count it, but a tc rule of another interface
// that redirects packets to the ingress of this one can have one of them take
// the mark of the packet being written at that moment. Programs that send
// packets choose marks within their privileges and so can use up the slots of
// an interface they send through; they can neither forge the mark of another's
// packet nor stop queue 0. Peers behind a channel choose incoming marks, all
// values of which are valid.
//
// Loading the programs needs root, or CAP_BPF and CAP_NET_ADMIN, in the initial
// user namespace. Kernel type information (BTF) is not needed.
//
// To carry outgoing marks, and to take idle queues back now and then:
//
//	out, err := skbmark.NewOutgoing()
//	if err != nil {
//		return err // errors.Is ErrUnsupported, ErrPermission: go on without marks
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
//		drain(q) // read until it is empty
//		out.Release(q)
//	}
package skbmark
