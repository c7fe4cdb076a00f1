// Package daemon is the process behind `muennet run`: the control API on a
// unix socket, in front of one muennet.Net.
//
// It is not the network: it creates no interface and moves no packet itself. It
// only checks who may do what. Parts:
//
//	run.go      the life of the process: lock, socket, interfaces, readiness, end
//	server.go   the HTTP handlers
//	child.go    those for children and marks
//	router.go   the paths of the API
//	answer.go   responses and errors
//	gate.go     limits on connections
//	caller.go   the credentials of a client, and what it may do
//	member.go   what a member of the control group may load
//	socket.go   the socket in the file system
//	lock.go     at most one process per socket path
//	notify.go   readiness for the service manager
//	waiting.go  time-outs
//
// Concurrency: changes are made one after the other; reading never waits for
// them. Only one [Run] per socket path succeeds at a time, across processes.
//
// Trust: users who can open the socket (its mode is 0660) may read, and may
// cost this process some memory and time per connection, bounded by limits on
// header and body and by time-outs. The number of connections is limited, too,
// with some reserved for uid 0. Only uid 0, this process's uid and members of
// the control group may make changes, by the credentials that the kernel
// recorded when they connected. Members may only name channels of one
// directory, because this process opens them as root. Parameters are parsed
// here again, whatever the client did.
//
// [Run] raises GOMAXPROCS to 4 if it is less, unless the environment sets it:
// goroutines wait for channels in system calls.
//
// Start:
//
//	err := daemon.Run(ctx, daemon.Config{Control: api.DefaultControl, Logger: log})
package daemon
