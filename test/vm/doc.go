// Package vm tests muennet in virtual machines: guests that share memory with
// each other and with the host as ivshmem-plain devices, and a guest like a
// NetHSM's Linux.
//
// `make vm-test` runs it: it installs QEMU and unpacks two Debian kernels
// first, that of bookworm and the newest one, with which a short set of tests
// runs. A third one, which has hardly any option, comes from
// `make minimal-kernel`. A guest is a kernel with examples/init as its first
// process and the program exercise of this directory, which does what the test
// wants (package agent). It has one processor, 256 MiB or less, no network
// card, no disk. Processors are emulated: nested virtualization is not to be
// had everywhere, and figures taken here are for comparing with each other
// only.
//
//	   test ---- qemu ---- ttyS0: console, a file that is kept when the test fails
//	    |          |
//	    |          +------ ttyS1: tasks and results
//	    |          |
//	muennet      guest: init with muennet, exercise
//	    |          |
//	    +- file ---+ BAR 2 of 0000:00:04.0
//
// Without bookworm's kernel or QEMU the tests are skipped, except in CI, where
// they fail; without another kernel those with it are skipped. Those with an
// end on the host need root.
package vm
