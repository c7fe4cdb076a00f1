// Package shortage tells errors that say "not now" from those that say "not
// here": the process or the system has run out of descriptors or memory. What
// fails so is there and may work a moment later. It must not be taken for a
// missing file, a missing feature of the kernel or the absence of an interface.
//
// All functions may be called from any goroutine. Start with Is, where an error
// is about to be taken for an answer:
//
//	data, err := os.ReadFile(path)
//	if shortage.Is(err) {
//		return err // there may be such a file
//	}
package shortage
