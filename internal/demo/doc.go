// Package demo shows muennet at work on a machine that has nothing but the
// kernel: two hosts, which are network namespaces with a muennet process each,
// joined by channels in shared memory, and between them addresses, ping, TCP,
// UDP and Ethernet, all done by the program itself.
//
//	left ─ net0 ─ muennet ──▶ channel_a_to_b ──▶ muennet ─ net0 ─ right
//	                      ◀── channel_b_to_a ◀──
//
// It is not a benchmark and not a test of the peer's side: both ends are ours.
//
// [Run] starts this program again inside namespaces of its own, where [Inside]
// does the work. The process namespace is what makes it leave nothing behind:
// when its first process ends, however that happens, the kernel ends every
// other one, and with them go the network namespaces and the memory file
// system that holds channels and sockets.
//
//	Run ──▶ [process, mount, network and, without root, user namespace]
//	           Inside ──▶ host left  [network namespace] ──▶ muennet run
//	                  └─▶ host right [network namespace] ──▶ muennet run
//
// Run may be called from several goroutines at once; Inside takes over the
// mounts of its process and is called once. Nothing here is exposed to anybody
// but the two processes it starts.
package demo
