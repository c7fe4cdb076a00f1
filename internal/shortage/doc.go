// Package shortage recognises errors that mean "not now" rather than "not
// here": the process or the system has run out of descriptors or memory. The
// operation may succeed a moment later, so the error must not be taken for a
// missing file, a missing kernel feature or a missing interface.
//
// All functions may be called from any goroutine. Call Is before treating an
// error as an answer:
//
//	data, err := os.ReadFile(path)
//	if shortage.Is(err) {
//		return err // the file may exist
//	}
package shortage
