// Package cli is the command line: one file per command, each a function that
// reads arguments and writes text.
//
// It is not the daemon: a command reaches a running muennet only through
// package client. The exceptions are `run`, which is the daemon, and `unload`
// when no daemon runs. The commands below `channel` access the shared memory
// themselves and need no daemon.
//
// [Run] is the whole program as a function without global state. It may be
// called concurrently, as tests do, except for commands that change the
// process, such as `run`.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. A failure is one line on stderr
// that says what and why.
//
// Trust: arguments, environment and the answers of the daemon are trusted, the
// bytes of a channel are not. `channel show` and `channel dump` work on copies,
// check every number before they use it, and survive a region that shrinks.
package cli
