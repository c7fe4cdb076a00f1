// Package demo shows muennet at work. It needs nothing but the kernel: two
// hosts, each a network namespace with a muennet process, are joined by
// channels in shared memory. The program itself adds addresses and sends pings,
// TCP, UDP and Ethernet frames between them.
//
//	left ─ net0 ─ muennet ──▶ channel_a_to_b ──▶ muennet ─ net0 ─ right
//	                      ◀── channel_b_to_a ◀──
//
// It is not a benchmark, and not a test with other peers: both ends are
// muennet.
//
// [Run] starts this program again in namespaces of its own, where [Inside] does
// the work. Because of the process namespace it leaves nothing behind: when the
// first process of that namespace ends for any reason, the kernel kills all
// others, and with them go the network namespaces and the tmpfs that holds
// channels and sockets.
//
//	Run ──▶ [process, mount, network and, without root, user namespace]
//	           Inside ──▶ host left  [network namespace] ──▶ muennet run
//	                  └─▶ host right [network namespace] ──▶ muennet run
//
// Run may be called from several goroutines at once. Inside changes the mounts
// of its process and is called once. Only the two processes it starts can reach
// what it makes.
package demo
