// Command bench compares muennet with what else joins network namespaces on
// this machine: the kernel's veth, and other programs of user space. It builds
// each system in namespaces of its own, sends the same traffic through all of
// them in one run, and prints, draws and keeps what comes out.
//
//	bench [-rounds N] [-seconds S] [-only SYSTEMS] [-quick] [-scale] [-out DIR]
//
// In each round every system is measured once, in a new random order, so that
// what the machine does meanwhile meets all alike; the first thing sent through
// a system is for warming up and does not count. Figures are medians of rounds.
//
// The ends of the traffic are processes of their own. Processor time is that of
// the whole machine, not of processes: a part of the work is done by the
// kernel's threads and interrupts. So nothing else should be running.
//
// It needs root. Programs that are not installed are skipped and named. It is
// not a test: it has no opinion about the figures.
package main
