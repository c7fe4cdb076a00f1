// Package link talks to rtnetlink: it lists, changes and watches network
// interfaces, and runs code in another network namespace.
//
// It is not a general netlink library. State holds only what muennet needs of
// an interface. Interfaces are identified by index, because an administrator
// may rename or move them at any time. AddAddress and AddRoute serve the
// demonstration and the tests.
//
// A Handle and a Watcher may be used from any goroutine. The callback of a
// Watcher is called from one goroutine, one call at a time. Nothing in this
// package runs periodically: an idle Watcher takes no processor time.
//
// A Handle keeps its network namespace alive. A Watcher keeps only the
// namespace alive in which it was made.
//
// Only the kernel is trusted: messages from processes are ignored, and
// malformed messages are skipped.
//
// Start with Open for requests, NewWatcher for events, InNetNS to run code in a
// namespace:
//
//	h, err := link.Open(-1)
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	state, err := h.ByName("net0")
package link
