// Package traffic makes and counts the traffic of one measurement: a TCP
// stream, a flood of datagrams, or requests and their answers.
//
// Each end is a process of its own, so that it runs in the network namespace it
// is started in and costs what it would cost in real life. It is the running
// program again, which must call Child first of all. Ends use blocking system
// calls on bare sockets: Go's poller would add its own time to a round trip.
//
//	parent                       end (one process each)
//	Start(job, exec) ──────────▶ listen or connect
//	             ◀────── ready ─
//	Measure(window) ───────────▶ send and receive; what the window saw is the result
//	Result           ◀────────── counts as JSON, then it exits
//
// All processes share one clock, CLOCK_MONOTONIC, so a window means the same to
// everybody. It is not a load generator for other machines: nothing is
// authenticated, and IPv4 is all it speaks.
//
// A Process belongs to one goroutine.
package traffic
