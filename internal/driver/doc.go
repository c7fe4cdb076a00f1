// Package driver is the set of interfaces: it composes region, tuntap, link,
// skbmark and datapath into interfaces that come and go, and keeps them in step
// with what the administrator does to them.
//
// An endpoint is a device with what carries its packets: a Port for those that
// are received, an Outbound for those that are sent, and the programs for
// marks. A parent is an endpoint with an end of one channel or two, and with
// children. A child is an endpoint without ends: it sends into its parent's
// out-channel, and its parent's Inbound routes packets to it by mark. It is
// closed with its parent.
//
//	       load, add_child                ip link set up
//	(none) ──────────────────────▶ down ─────────────────────▶ up
//	   ▲                            │  ◀─────────────────────  │
//	   │ unload, del_child,         │     ip link set down     │
//	   │ ip link del                │                          │
//	   └────────────────────────────┴──────────────────────────┘
//
// down: the writer is inactive and the reader ignores the in-channel. up: the
// writer runs with elements for the interface's MTU. The driver does not
// remember what the kernel knows better: name, namespace, MTU and flags come
// from link events, and a device is identified by its descriptor.
//
// Devices are persistent, so they outlive a crash. The next load of the same
// channels adopts them. It finds them by their link alias; it finds children
// with their marks, and devices in other namespaces, by the state file.
//
// The driver asks the kernel for what it may refuse, and does not guess from
// its version: the features of segmentation offload, the eBPF programs for
// marks. Without them the interface works, and Status says what is missing.
//
// A device that the kernel deletes, by ip link del or with its network
// namespace, is closed like one that is unloaded, and always under
// Driver.change: no request meets a device that is being closed.
//
// A Driver may be used from any goroutine. Locks are taken in this order:
// Driver.change, netdev.tracking, netdev.mu (a parent's before its child's),
// those of datapath, family.mu. Driver.mu is held for moments only; under it,
// only family.mu is taken. "Locks" in docs/architecture.md says what they
// guard.
//
// What a peer can do is bounded by datapath. A region that goes away stops its
// own direction, and the driver checks every second whether it is back.
//
//	d := driver.New(driver.Options{})
//	defer d.Close()
//	names, err := d.Load(driver.Config{Interfaces: []driver.Interface{{Name: "net0", In: "a", ReaderProtocol: 2}}})
package driver
