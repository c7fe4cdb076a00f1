// Package testbed builds, one at a time, what is compared: two network
// namespaces, a and b, and between them a network made by muennet, by the
// kernel's veth or by another program of user space.
//
//	[ namespace a ] ── system ── [ namespace b ]
//
// A Bed is everything a system needs, and ends with Close: processes,
// interfaces, namespaces and files. Nothing outside the namespaces is changed,
// but sockets of some programs are where those programs put them, with names of
// this process. It needs root. The other programs are trusted.
//
// Settings are the same for all wherever they can be: MTU 1500 unless the name
// says otherwise, and a path below the tunnels (socat, wireguard-go) that is
// wide enough to spare them fragments. slirp4netns and pasta are no network
// between two hosts but between a host and a guest that it forwards ports to;
// here a is the host and b the guest.
//
// A Bed belongs to one goroutine. Start with Systems.
package testbed
