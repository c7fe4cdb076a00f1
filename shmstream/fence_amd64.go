package shmstream

// amd64 needs no instruction: stores become visible in program order and loads
// execute in program order. The atomic access next to each fence keeps the
// compiler from moving the copy across it (docs/ordering.md).

func storeFence() {}

func loadFence() {}
