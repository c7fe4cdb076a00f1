// Package driver is the set of interfaces: it composes region, tuntap, link and
// datapath into interfaces that come and go, and keeps them in step with what
// the administrator does to them.
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
// A Driver may be used from any goroutine. What a peer can do is bounded by
// datapath; a region that goes away stops its own direction and is looked for
// again every second.
package driver
