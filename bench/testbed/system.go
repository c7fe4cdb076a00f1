package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Kind groups systems in a comparison.
type Kind string

// The kinds.
const (
	Ours   Kind = "muennet"
	Kernel Kind = "kernel"
	Peer   Kind = "user space" // another program that does the same in user space
)

// System is one way to join two namespaces.
type System struct {
	Name  string // as in "net_hdr-1500"
	Kind  Kind
	Note  string // one line: what it is and how it is set up
	tools []tool
	build func(context.Context, *Bed) error
}

// tool is a program and its Debian package.
type tool struct{ name, pkg string }

// Config is the environment of a Bed.
type Config struct {
	Muennet string // path of the program; required for muennet's systems
	Dir     string // an empty directory for channels and sockets, in memory
}

// Systems returns all systems, in the order of reports.
func Systems() []System {
	ethtool := tool{"ethtool", "ethtool"}
	list := []System{
		{Name: "veth", Kind: Kernel, Note: "a pair of virtual Ethernet interfaces with default settings", build: veth},
		{Name: "veth-nooffload", Kind: Kernel, Note: "the same, with ethtool -K tso off gso off gro off on both ends",
			tools: []tool{ethtool}, build: vethPlain},
	}
	for _, m := range []struct {
		flags string
		mtu   int
	}{{"net_hdr", 1500}, {"eth_dev", 1500}, {"net_hdr", 9000}, {"eth_dev", 9000}, {"net_hdr", 65000}} {
		for _, offload := range []string{"on", "off"} {
			s := muennet{flags: m.flags, mtu: m.mtu, offload: offload}
			list = append(list, System{Name: s.name(), Kind: Ours, Note: s.note(), build: s.build})
		}
	}
	sleepy := muennet{flags: "net_hdr", mtu: 1500, offload: "on", noBusyPoll: true}
	list = append(list, System{Name: sleepy.name(), Kind: Ours, Note: sleepy.note(), build: sleepy.build})
	return append(list,
		System{Name: "vde", Kind: Peer, Note: "vde_switch with a vde_plug2tap on each side",
			tools: []tool{{"vde_switch", "vde2"}, {"vde_plug2tap", "vde2"}}, build: vde},
		System{Name: "socat", Kind: Peer, Note: "socat between a TUN and UDP on each side, over a veth",
			tools: []tool{{"socat", "socat"}}, build: socat},
		System{Name: "wireguard-go", Kind: Peer, Note: "wireguard-go on each side, over a veth (it also encrypts)",
			tools: []tool{{"wireguard-go", "wireguard-go"}, {"wg", "wireguard-tools"}}, build: wireguard},
		System{Name: "slirp4netns", Kind: Peer, Note: "b is the guest of slirp4netns, its ports forwarded",
			tools: []tool{{"slirp4netns", "slirp4netns"}}, build: slirp},
		System{Name: "pasta", Kind: Peer, Note: "b is the guest of pasta, its ports forwarded, through the tap",
			tools: []tool{{"pasta", "passt"}}, build: pasta},
	)
}

// Missing names the Debian packages to install before the system can be opened.
func (s System) Missing() (packages []string) {
	for _, t := range s.tools {
		if _, err := exec.LookPath(t.name); err != nil && !slices.Contains(packages, t.pkg) {
			packages = append(packages, t.pkg)
		}
	}
	return packages
}

// Open builds the system and returns when packets pass both ways. The caller
// closes the Bed.
func (s System) Open(ctx context.Context, cfg Config) (*Bed, error) {
	b, ctx, err := newBed(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err = s.build(ctx, b); err == nil {
		err = b.await(ctx)
	}
	if err != nil {
		err = fmt.Errorf("build %s: %w%s", s.Name, err, b.logs())
		b.Close()
		return nil, err
	}
	return b, nil
}

// logs returns the output of the programs, for an error message.
func (b *Bed) logs() string {
	var all strings.Builder
	for _, p := range b.programs {
		if said, _ := os.ReadFile(p.log); len(said) > 0 {
			fmt.Fprintf(&all, "\n%s: %s", p.name, strings.TrimSpace(string(said)))
		}
	}
	return all.String()
}
