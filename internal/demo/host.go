package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netlink"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/netlab"
)

// host is a network namespace with a muennet in it.
type host struct {
	*netlab.Namespace
	name   string
	files  string // its control socket, log and so on: the beginning of their names
	client *client.Client

	cmd      *netlab.Cmd // nil when muennet does not run
	stopping atomic.Bool
}

// newHost makes the namespace; nothing runs in it yet.
func newHost(name, dir string) (*host, error) {
	ns, err := netlab.New()
	if err != nil {
		return nil, explain(err)
	}
	h := &host{Namespace: ns, name: name, files: filepath.Join(dir, name)}
	h.client = client.New(h.files + ".sock")
	return h, nil
}

// start starts muennet with these interfaces and returns when it is ready. If
// it ends before stop is called, fail gets the reason.
func (h *host) start(ctx context.Context, channels string, params []string, fail context.CancelCauseFunc) error {
	log, err := os.Create(h.files + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := h.Command("/proc/self/exe", append([]string{"run", "--control", h.files + ".sock",
		"--channels", channels, "--log-level", "warn"}, params...)...)
	cmd.Args[0] = "muennet"
	cmd.Stderr = log
	if err := cmd.StartReady(ctx, h.files+".notify"); err != nil {
		return h.explain(err)
	}
	h.cmd = cmd
	go func() {
		<-cmd.Ended()
		if !h.stopping.Load() {
			fail(h.explain(errors.New(cmd.ProcessState.String())))
		}
	}()
	return nil
}

// explain adds the last line of muennet's log to what happened to it.
func (h *host) explain(err error) error {
	log, _ := os.ReadFile(h.files + ".log")
	if lines := strings.Split(strings.TrimSpace(string(log)), "\n"); lines[0] != "" {
		err = fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return fmt.Errorf("muennet on %s: %w", h.name, err)
}

// load adds interfaces to the running muennet.
func (h *host) load(ctx context.Context, params []string) error {
	if _, err := h.client.Load(ctx, api.LoadRequest{Parameters: params}); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	return nil
}

// awaitPeer returns when the interface carries packets both ways.
func (h *host) awaitPeer(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := netlab.Until(ctx, func() error {
		s, err := h.client.Interface(ctx, name)
		if err != nil {
			return err
		}
		if !s.Writer.Enabled || s.Reader.Peer != "active" {
			return fmt.Errorf("%s: writer enabled: %v; peer %s %s", name, s.Writer.Enabled, s.Reader.Peer, s.Reader.Reason)
		}
		return h.Ready(name)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	return nil
}

// neighbour returns the hardware address that the host has learned for addr.
func (h *host) neighbour(name string, addr netip.Addr) (mac net.HardwareAddr, err error) {
	l, err := h.Link().ByName(name)
	if err != nil {
		return nil, err
	}
	err = h.In(func() error {
		list, err := netlink.NeighList(l.Index, netlink.FAMILY_V4)
		if err != nil {
			return fmt.Errorf("list neighbours: %w", err)
		}
		for _, n := range list {
			if n.IP.Equal(addr.AsSlice()) && len(n.HardwareAddr) == 6 {
				mac = n.HardwareAddr
				return nil
			}
		}
		return fmt.Errorf("%s has no hardware address for %v", h.name, addr)
	})
	return mac, err
}

// stop ends muennet, if it runs, the way an administrator does.
func (h *host) stop() error {
	if h.cmd == nil {
		return nil
	}
	h.stopping.Store(true)
	cmd := h.cmd
	h.cmd = nil
	if err := cmd.Stop(patience / 2); err != nil {
		return h.explain(err)
	}
	return nil
}

// close ends what is left of the host.
func (h *host) close() {
	_ = h.stop() // a reason to go on, not to stay
	h.Close()
}
