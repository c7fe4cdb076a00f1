// Command bench compares muennet with other ways to join network namespaces on
// this machine: the kernel's veth, and other programs in user space. It builds
// each system in namespaces of its own, sends the same traffic through all of
// them in one run, and prints the results, draws charts and saves both.
//
//	bench [-rounds N] [-seconds S] [-only SYSTEMS] [-quick] [-scale] [-out DIR]
//
// Each round measures every system once, in a new random order, so that other
// load on the machine affects all systems alike. The first traffic through a
// system warms it up and does not count. Figures are medians of rounds.
//
// The ends of the traffic are processes of their own. Processor time is that of
// the whole machine, because kernel threads and interrupts do a part of the
// work. So nothing else should be running.
//
// It needs root. It skips programs that are not installed and names them. It is
// not a test: no figure makes it fail.
package main
