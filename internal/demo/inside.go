package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// The channels, named by their writers.
const (
	channelSize = 1 << 20

	aToB, bToA       = "channel_a_to_b", "channel_b_to_a"
	frameAB, frameBA = "channel_frames_a_to_b", "channel_frames_b_to_a"
)

// demo is two hosts and the channels between them.
type demo struct {
	cfg         Config
	dir         string
	channels    string
	left, right *host
	fail        context.CancelCauseFunc // called when a host ends on its own
}

// Inside runs the demonstration in the namespaces and the directory that Run
// has made. It stops at the first step that fails and returns its error.
func Inside(ctx context.Context, cfg Config, dir string) (err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	mountPrivately(dir)
	d := &demo{cfg: cfg.withDefaults(), dir: dir, channels: filepath.Join(dir, "channels"), fail: fail}
	defer d.close()
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"channels", d.makeChannels},
		{"load", d.load},
		{"ping", d.pings},
		{"tcp", d.streams},
		{"udp", d.floods},
		{"ethernet", d.ethernet},
		{"marks", d.marks},
		{"counters", d.counters},
		{"unload", d.unload},
	} {
		if err := step.run(ctx); err != nil {
			// If a host has ended, that is the reason for
			// everything after it.
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	fmt.Fprintln(d.cfg.Out, "demo: ok")
	return nil
}

// mountPrivately mounts a tmpfs over dir, which ends with the mount namespace.
// Where mounts are refused (a chroot), dir is used as it is, and Run removes
// what is in it.
func mountPrivately(dir string) {
	if unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "") == nil {
		_ = unix.Mount("muennet-demo", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700")
	}
}

// say prints a line about a step.
func (d *demo) say(step, format string, args ...any) {
	fmt.Fprintf(d.cfg.Out, "%-9s %s\n", step, fmt.Sprintf(format, args...))
}

func (d *demo) close() {
	for _, h := range []*host{d.left, d.right} {
		if h != nil {
			h.close()
		}
	}
}

func (d *demo) makeChannels(context.Context) error {
	for _, name := range []string{aToB, bToA, frameAB, frameBA} {
		if err := region.Create(d.channels, name, channelSize, 0o600); err != nil {
			return err
		}
	}
	d.say("channels", "%s and %s: one direction each, 1 MiB of shared memory each", aToB, bToA)
	return nil
}

// load starts muennet on both hosts with net0, the channels crossed.
func (d *demo) load(ctx context.Context) error {
	for _, side := range []struct {
		host    **host
		name    string
		in, out string
		addrs   []netip.Prefix
	}{
		{&d.left, "left", bToA, aToB, prefixes("192.168.1.1/24", "fd00::1/64")},
		{&d.right, "right", aToB, bToA, prefixes("192.168.1.2/24", "fd00::2/64")},
	} {
		h, err := newHost(side.name, d.dir)
		if err != nil {
			return err
		}
		*side.host = h
		params := []string{"name=net0", "in=" + side.in, "out=" + side.out,
			"flags=net_hdr", "reader_protocol=2", "writer_protocol=2"}
		if err := h.start(ctx, d.channels, params, d.fail); err != nil {
			return err
		}
		if !hasIPv6() {
			side.addrs = side.addrs[:1]
		}
		if err := h.Up("net0", side.addrs...); err != nil {
			return err
		}
		d.say("load", "%-5s muennet run %s: net0 has %v", h.name, strings.Join(params, " "), side.addrs)
	}
	return d.bothSee(ctx, "net0")
}

// bothSee returns when packets pass both ways.
func (d *demo) bothSee(ctx context.Context, name string) error {
	for _, h := range []*host{d.left, d.right} {
		if err := h.awaitPeer(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) pings(ctx context.Context) error {
	for _, family := range []struct {
		to    netip.Addr
		sizes []int
	}{
		{netip.MustParseAddr("192.168.1.2"), []int{56, 512, 1472}},
		{netip.MustParseAddr("fd00::2"), []int{56, 512, 1452}},
	} {
		if family.to.Is6() && !hasIPv6() {
			d.say("ping", "IPv6 skipped: this kernel has none")
			continue
		}
		for _, size := range family.sizes {
			r, err := d.left.ping(ctx, family.to, size, 50)
			if err != nil {
				return err
			}
			d.say("ping", "left to %v, %4d bytes: %v", family.to, size, r)
		}
	}
	return nil
}

func (d *demo) streams(ctx context.Context) error {
	back := netip.MustParseAddr("192.168.1.1")
	if hasIPv6() {
		back = netip.MustParseAddr("fd00::1")
	}
	for _, way := range []struct {
		from, to *host
		addr     netip.Addr
	}{
		{d.left, d.right, netip.MustParseAddr("192.168.1.2")},
		{d.right, d.left, back},
	} {
		bytes, took, err := stream(ctx, way.from, way.to, way.addr, d.cfg.Time)
		if err != nil {
			return err
		}
		d.say("tcp", "%-5s to %v: %.2f Gb/s, %d MiB in %.1f s, checksum matches", way.from.name, way.addr,
			float64(bytes)*8/1e9/took.Seconds(), bytes>>20, took.Seconds())
	}
	return nil
}

func (d *demo) floods(ctx context.Context) error {
	to := netip.MustParseAddr("192.168.1.2")
	f, err := flood(ctx, d.left, d.right, to, d.cfg.Time/2)
	if err != nil {
		return err
	}
	rate := func(n uint64) float64 { return float64(n) / 1000 / f.took.Seconds() }
	d.say("udp", "left to %v: %.0f k of %.0f k datagrams per second arrive intact, %d bytes each (%.1f %% lost)", to,
		rate(f.received), rate(f.sent), floodSize, 100*(1-float64(f.received)/float64(f.sent)))
	return nil
}

// ethernet adds a second interface, which carries Ethernet frames, to the
// running hosts.
func (d *demo) ethernet(ctx context.Context) error {
	to := netip.MustParseAddr("192.168.2.2")
	for _, side := range []struct {
		host    *host
		in, out string
		addrs   []netip.Prefix
	}{
		{d.left, frameBA, frameAB, prefixes("192.168.2.1/24")},
		{d.right, frameAB, frameBA, prefixes("192.168.2.2/24")},
	} {
		params := []string{"name=net1", "in=" + side.in, "out=" + side.out,
			"flags=eth_dev", "reader_protocol=3", "writer_protocol=3"}
		if err := side.host.load(ctx, params); err != nil {
			return err
		}
		if err := side.host.Up("net1", side.addrs...); err != nil {
			return err
		}
	}
	if err := d.bothSee(ctx, "net1"); err != nil {
		return err
	}
	r, err := d.left.ping(ctx, to, 56, 50)
	if err != nil {
		return err
	}
	mac, err := d.left.neighbour("net1", to)
	if err != nil {
		return err
	}
	d.say("ethernet", "net1, flags=eth_dev, added at run time: ARP says %v is at %v", to, mac)
	d.say("ethernet", "left to %v,   56 bytes: %v", to, r)
	return nil
}

func (d *demo) counters(ctx context.Context) error {
	for _, h := range []*host{d.left, d.right} {
		all, err := h.client.Interfaces(ctx)
		if err != nil {
			return err
		}
		for _, s := range all {
			d.say("counters", "%-5s %s: rx %d packets, %d MiB; tx %d packets, %d MiB; overruns %d, lost %d; %s, %d wake-ups",
				h.name, s.Name, s.Stats.RxPackets, s.Stats.RxBytes>>20, s.Stats.TxPackets, s.Stats.TxBytes>>20,
				s.Reader.Overruns, s.Reader.Lost, s.Reader.Doorbell, s.Reader.Wakeups)
		}
	}
	return nil
}

// unload ends muennet on both hosts and checks what is left: no interface, and
// channels whose writers are inactive.
func (d *demo) unload(context.Context) error {
	for _, h := range []*host{d.left, d.right} {
		if err := h.stop(); err != nil {
			return err
		}
		left, err := h.Link().List()
		if err != nil {
			return err
		}
		for _, l := range left {
			if l.Kind == "tun" {
				return fmt.Errorf("%s: %s is still there", h.name, l.Name)
			}
		}
	}
	for _, name := range []string{aToB, bToA, frameAB, frameBA} {
		if err := inactive(d.channels, name); err != nil {
			return err
		}
	}
	d.say("unload", "both have ended: the interfaces are gone, all four writers are inactive")
	return nil
}

// hasIPv6 reports whether the kernel has IPv6.
func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

func prefixes(s ...string) []netip.Prefix {
	p := make([]netip.Prefix, len(s))
	for i := range s {
		p[i] = netip.MustParsePrefix(s[i])
	}
	return p
}

// inactive checks that the channel has no active writer.
func inactive(dir, name string) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	image := make([]byte, shmstream.HeaderSize) // make aligns 16 bytes and more to a word
	if _, err := io.ReadFull(file, image); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	h, err := shmstream.ReadHeader(image)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if h.Epoch != 0 {
		return fmt.Errorf("%s: the writer is still active", name)
	}
	return nil
}
