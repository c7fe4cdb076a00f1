// Package daemon is the process behind `muennet run`: the control API on a
// unix socket, in front of one muennet.Net.
//
// It is not the network: it makes no interface and moves no packet itself, it
// only guards who asks for what. Parts:
//
//	run.go     the life of the process: lock, interfaces, socket, readiness, end
//	server.go  the HTTP handlers
//	child.go   those for children and marks
//	gate.go    how many connections there may be, of whom
//	peer.go    who is at the other end of a connection, and what it may do
//	member.go  what a member of the control group may load
//	socket.go  the socket in the file system
//	lock.go    at most one process per socket path
//	notify.go  readiness for the service manager
//
// Concurrency: requests that change something are carried out one after the
// other; reading never waits for them. [Run] is meant to be called once at a
// time per socket path, and makes sure of it across processes.
//
// Trust: users who can open the socket (its mode is 0660) may read, and may cost
// this process some memory and time per connection, bounded by header and body
// limits and time-outs. The number of connections is bounded, too, with some kept
// for uid 0. Changes are for uid 0, this process's uid and members of the control
// group, by the credentials the kernel recorded when the peer connected; members
// name channels of one directory only, because this process opens them as root.
// Parameters are parsed here again, whatever the client did.
//
// For a process with few processors it raises GOMAXPROCS to 4, unless the
// environment sets it: goroutines that wait for a channel do so in system calls.
//
// Start:
//
//	err := daemon.Run(ctx, daemon.Config{Control: api.DefaultControl, Logger: log})
package daemon
