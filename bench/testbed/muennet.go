package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/muennet/muennet/internal/netlab"
)

// muennet is one set of parameters.
type muennet struct {
	flags      string
	mtu        int
	offload    string
	noBusyPoll bool
}

func (m muennet) name() string {
	name := fmt.Sprintf("%s-%d", m.flags, m.mtu)
	if m.offload == "off" {
		name += "-nooffload"
	}
	if m.noBusyPoll {
		name += "-nobusy"
	}
	return name
}

func (m muennet) note() string {
	return fmt.Sprintf("muennet run on each side, %s, channels of %d MiB", strings.Join(m.speed(), " "), m.channel()>>20)
}

// speed returns the parameters that affect speed.
func (m muennet) speed() []string {
	params := []string{"mtu=" + strconv.Itoa(m.mtu), "offload=" + m.offload}
	if m.noBusyPoll {
		params = append(params, "busy_poll=0")
	}
	return params
}

// channel returns the size of a channel in bytes: the usual one for packets of
// 1500 bytes, and more for larger ones, so that the ring is not too short.
func (m muennet) channel() int64 {
	if m.mtu > 1500 {
		return 8 << 20
	}
	return 1 << 20
}

func (m muennet) build(ctx context.Context, b *Bed) error {
	for _, name := range []string{"a-to-b", "b-to-a"} {
		if err := b.makeChannel(name, m.channel()); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		host          *Host
		name, in, out string
	}{{b.A, "a", "b-to-a", "a-to-b"}, {b.B, "b", "a-to-b", "b-to-a"}} {
		params := []string{"name=" + device, "in=" + side.in, "out=" + side.out, "flags=" + m.flags, "reader_protocol=2", "writer_protocol=2"}
		err := b.daemon(ctx, side.host, "muennet-"+side.name, append(params, m.speed()...)...)
		if err != nil {
			return err
		}
	}
	if err := b.bothUp(); err != nil {
		return err
	}
	return until(ctx, func() error { return errors.Join(b.A.Ready(device), b.B.Ready(device)) })
}

// makeChannel makes an empty channel in the directory of the bed and overwrites
// that of a previous system. Unlike region.Create it reserves no memory: a
// Crowd has hundreds of channels that carry nothing.
func (b *Bed) makeChannel(name string, size int64) error {
	path := filepath.Join(b.cfg.Dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// daemon starts a muennet on the host and returns when it is ready.
func (b *Bed) daemon(ctx context.Context, h *Host, name string, params ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	files := filepath.Join(b.cfg.Dir, name)
	ready := func(c *netlab.Cmd) error { return c.StartReady(ctx, files+".notify") }
	return b.startBy(ready, h, name, b.cfg.Muennet,
		append([]string{"run", "--control", files + ".sock", "--channels", b.cfg.Dir, "--log-level", "warn"}, params...)...)
}
