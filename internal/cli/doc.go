// Package cli is the command line: one file per command, each a function that
// reads arguments and writes text.
//
// It is not the daemon: a command reaches a running muennet through package
// client only. The exceptions are `run`, which is the daemon, and `unload`
// where nothing runs any more. The commands below `channel` look at the shared
// memory themselves and need no daemon.
//
// [Run] is the whole program as a function and keeps no global state: it may
// be called concurrently, and tests do, except for what a command does to the
// process (`run` takes over the log of a background process).
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. A failure is one line on stderr
// that says what and why.
//
// Trust: arguments and environment belong to the user, the answers of the
// daemon are believed, the bytes of a channel are not: `channel show` and
// `channel dump` work on copies, check every number before they use it, and
// survive a region that shrinks under them.
package cli
