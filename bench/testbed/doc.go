// Package testbed builds the systems that are compared, one at a time: two
// network namespaces, a and b, and between them a network made by muennet, by
// the kernel's veth or by another program in user space.
//
//	[ namespace a ] ── system ── [ namespace b ]
//
// A Bed holds everything a system needs until Close: processes, interfaces,
// namespaces and files. Nothing outside the namespaces changes, except that
// some programs put sockets at fixed places, with names that include the
// process id. It needs root and trusts the other programs.
//
// Settings are the same for all systems where possible: MTU 1500 unless the
// name says otherwise, and under the tunnels (socat, wireguard-go) an MTU that
// avoids fragments. slirp4netns and pasta do not join two hosts but a host and
// a guest, to which they forward ports; here a is the host and b the guest.
//
// A Bed belongs to one goroutine. Start with Systems.
package testbed
