// Package scale measures what many interfaces in one muennet cost: time until
// they exist, memory, and what the process does when there is nothing to do.
//
// Every interface has both channels and an active peer. Peers either ring, as
// another muennet does, or are silent writers, as many existing ones are, whose
// channels have to be looked at. Nothing is sent while the process is watched.
//
// Measure needs root and may be called by one goroutine at a time.
package scale
