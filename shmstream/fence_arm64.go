package shmstream

// storeFence makes all stores before it visible before any store after it.
func storeFence()

// loadFence completes all loads before it before any load or store after it.
func loadFence()
