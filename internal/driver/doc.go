// Package driver is the set of interfaces: it composes region, tuntap, link,
// skbmark and datapath into interfaces that come and go, and keeps them in step
// with what the administrator does to them.
//
// An interface bound to channels is a parent:
//
//	               load                    ip link set up
//	(none) ──────────────────▶ down ─────────────────────────▶ up
//	   ▲                        │  ◀─────────────────────────  │
//	   │  unload, ip link del   │        ip link set down      │
//	   └────────────────────────┴──────────────────────────────┘
//
// down: the writer is inactive and the reader ignores the in-channel. up: the
// writer runs with elements for the interface's MTU. Nothing here remembers
// what the kernel knows better: name, namespace, MTU and flags come from link
// events, and a device is known by its descriptor.
//
// A child is a device of its own, followed in the same way. It sends through
// its parent's Sender and is a route of its parent's Inbound, by mark. It goes
// when the parent goes.
//
// Devices are persistent, so they outlive a crash. The next load of the same
// channels finds them by their link alias, those in other namespaces and all
// children with their marks by the state file.
//
// What a kernel may refuse is asked for, not guessed from its version: the
// features of segmentation offload, the eBPF programs for marks. Without them
// the interface works, and Status says what is missing.
//
// A device that the kernel deletes, by ip link del or with its network namespace,
// is closed like one that is unloaded, and always under Driver.change: no request
// meets a device that is being closed.
//
// A Driver may be used from any goroutine. Locks are taken in this order:
// Driver.change, followed.mu, those of datapath, parent.family. Under Driver.mu
// nothing is waited for.
//
// What a peer can do is bounded by datapath; a region that goes away stops its
// own direction and is looked for again every second.
//
//	d := driver.New(driver.Options{})
//	defer d.Close()
//	names, err := d.Load(driver.Config{Interfaces: []driver.Interface{{Name: "net0", In: "a", ReaderProtocol: 2}}})
package driver
