package testbed

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// crowdProtocol is the protocol of all channels of a Crowd.
const crowdProtocol = 2

// crowdChannel is the size of each of its channels in bytes.
const crowdChannel = 1 << 20

// Crowd is one muennet with many interfaces, all up, each with an active peer.
type Crowd struct {
	PID   int           // of that muennet
	Ready time.Duration // from its start until its interfaces existed

	bed     *Bed
	n       int
	client  *client.Client
	regions []*region.Region // of peers that are writers of this process
}

// OpenCrowd starts a muennet with n interfaces. With ring their peers are
// another muennet; without, writers of this process that send nothing and never
// ring. The caller closes the Crowd.
func OpenCrowd(ctx context.Context, cfg Config, n int, ring bool) (c *Crowd, err error) {
	c = &Crowd{n: n}
	if c.bed, ctx, err = newBed(ctx, cfg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w%s", err, c.bed.logs())
			c.Close()
		}
	}()
	for i := range n {
		for _, format := range []string{toCrowd, fromCrowd} {
			if err := c.bed.makeChannel(fmt.Sprintf(format, i), crowdChannel); err != nil {
				return nil, err
			}
		}
	}
	// The peers start first, so that they are active when muennet starts.
	if ring {
		if err := c.bed.daemon(ctx, c.bed.B, "muennet-b", crowdParams(n, fromCrowd, toCrowd)...); err != nil {
			return nil, err
		}
		if err := c.up(c.bed.B); err != nil {
			return nil, err
		}
	} else if err := c.write(cfg.Dir); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := c.bed.daemon(ctx, c.bed.A, "muennet-a", crowdParams(n, toCrowd, fromCrowd)...); err != nil {
		return nil, err
	}
	c.Ready = time.Since(start)
	c.PID = c.bed.programs[len(c.bed.programs)-1].Process.Pid
	c.client = client.New(filepath.Join(cfg.Dir, "muennet-a.sock"))
	if err := c.up(c.bed.A); err != nil {
		return nil, err
	}
	return c, until(ctx, func() error { return c.peersActive(ctx) })
}

// Names of channels, by number.
const (
	toCrowd   = "to-%d"
	fromCrowd = "from-%d"
)

// crowdParams are the parameters of one side.
func crowdParams(n int, in, out string) []string {
	list := func(format string) string {
		var names []string
		for i := range n {
			names = append(names, strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
		}
		return strings.Join(names, ",")
	}
	return []string{"name=" + list("net%d"), "in=" + list(in), "out=" + list(out), "flags=" + list("net_hdr"),
		"reader_protocol=" + list("2"), "writer_protocol=" + list("2")}
}

// write starts the writers of this process.
func (c *Crowd) write(dir string) error {
	for i := range c.n {
		r, err := region.Open(dir, fmt.Sprintf(toCrowd, i), region.ReadWrite)
		if err != nil {
			return err
		}
		c.regions = append(c.regions, r)
		w, err := shmstream.NewWriter(r.Bytes())
		if err != nil {
			return err
		}
		if err := w.Start(shmstream.WriterConfig{Protocol: crowdProtocol, Size: 1508}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Crowd) up(h *Host) error {
	for i := range c.n {
		if err := h.Up(fmt.Sprintf("net%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// peersActive returns nil when every interface has an active peer.
func (c *Crowd) peersActive(ctx context.Context) error {
	list, err := c.client.Interfaces(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Reader == nil || i.Reader.Peer != "active" {
			return fmt.Errorf("the peer of %s is not active", i.Name)
		}
	}
	if len(list) != c.n {
		return fmt.Errorf("%d interfaces of %d", len(list), c.n)
	}
	return nil
}

// Ringing returns the share, 0 to 1, of the peers that muennet expects to ring.
func (c *Crowd) Ringing(ctx context.Context) (share float64, err error) {
	list, err := c.client.Interfaces(ctx)
	if err != nil {
		return 0, err
	}
	for _, i := range list {
		if i.Reader.Doorbell == "futex" {
			share += 1 / float64(c.n)
		}
	}
	return share, nil
}

// Close ends everything. It may be called again.
func (c *Crowd) Close() {
	c.bed.Close()
	for _, r := range c.regions {
		_ = r.Close() // nothing in it is needed any more
	}
	c.regions = nil
}
