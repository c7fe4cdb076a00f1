//go:build !amd64 && !arm64

package shmstream

// Without fences known to be correct for the processor a reader could deliver
// torn elements, so the package must not compile. To add a processor, write its
// fences and its part of docs/ordering.md.

func storeFence() { this_processor_has_no_memory_fences_in_shmstream__see_docs_ordering_md() }

func loadFence() {}
