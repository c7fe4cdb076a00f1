// Command init is a complete first process for a Linux guest that has neither a
// shell nor systemd: a kernel, this one static program and what it is to run.
// It is meant to be read, changed and built into something else.
//
// It does, in this order:
//
//   - mount /proc, /sys, /dev and /dev/shm (main.go, mount.go);
//   - load the kernel modules below /lib/modules, such as tun.ko where TUN is
//     not built in (module.go);
//   - mount /muenfs and /muenevents, on a kernel that has them;
//   - read the kernel command line (words.go);
//   - make the interfaces with package muennet, give them their addresses, and
//     wait until they run (network.go);
//   - answer echo requests on port 7 of TCP and UDP (echo.go);
//   - start one program (process.go).
//
// Then it waits for processes that end, and for signals:
//
//	SIGTERM, SIGUSR2   power off
//	SIGINT             restart; the kernel sends it for ctrl-alt-del
//	SIGUSR1            print the state of each interface on the console, as JSON
//
// What goes wrong is printed on the console, and the rest goes on: a first
// process that ends takes the kernel down with it.
//
// # Kernel command line
//
//	muennet.PARAMETER=VALUE   a parameter, as for the kernel module: muennet.name=net0 muennet.in=a ...
//	muennet.auto              an interface for each pair of channels X|in and X|out; parameters override what it chooses
//	muennet.channels=DIR      where channels given by name are; default /muenfs, else /dev/shm/muennet
//	address=NAME=ADDRESS/BITS an address for an interface; several with commas, or several words
//	run=PROGRAM               a program to start when the interfaces run; run="PROGRAM ARGUMENT ..." with arguments
//
// Words with blanks are quoted as a whole value, as the kernel wants it:
// run="/bin/program first second". A parameter given twice has the last value,
// as with modprobe; muennet.ParseCommandLine has the rules. Other words are the
// kernel's.
//
// # Building and starting
//
//	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o rootfs/init ./examples/init
//	cp .../kernel/drivers/net/tun.ko rootfs/lib/modules/
//	(cd rootfs && find . | cpio -o -H newc | gzip) > initrd
//	qemu-system-x86_64 -m 256M -nographic -kernel vmlinuz -initrd initrd \
//	    -object memory-backend-file,id=shm,mem-path=/dev/shm/link,size=4M,share=on -device ivshmem-plain,memdev=shm,addr=04.0 \
//	    -append 'console=ttyS0 muennet.name=net0 muennet.in=pci:0000:00:04.0@0+1M muennet.out=pci:0000:00:04.0@1M+1M
//	        muennet.flags=net_hdr muennet.reader_protocol=1 muennet.writer_protocol=1 address=net0=10.0.0.1/24'
//
// The compiled modules may be those of a distribution, as they are. test/vm
// boots this program in that way.
package main
