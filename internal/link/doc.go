// Package link talks to rtnetlink: it lists, changes and watches network
// interfaces, and runs code in another network namespace.
//
// It is not a general netlink library. It knows only what muennet needs of an
// interface (State), and it identifies interfaces by index, because names and
// namespaces are the administrator's to change at any moment. It never touches
// addresses or routes on its own; AddAddress and AddRoute are there for the
// demonstration and for tests.
//
// A Handle and a Watcher may be used from any goroutine. The callback of a
// Watcher is called from one goroutine, one call at a time. Nothing in this
// package wakes up periodically: a watcher without events costs no processor
// time.
//
// A Handle keeps its network namespace alive, a Watcher only the one that it
// was made in.
//
// The only peer is the kernel. Messages that come from a process are ignored,
// and a message that cannot be parsed is skipped.
//
// Start with Open for requests, NewWatcher for events, InNetNS for anything
// else that must happen in a certain namespace:
//
//	h, err := link.Open(-1)
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	state, err := h.ByName("net0")
package link
