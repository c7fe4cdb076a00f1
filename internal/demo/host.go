package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/link"
)

// look is the pause between two looks at a state that nothing announces.
const look = 5 * time.Millisecond

// host is a network namespace with a muennet in it.
type host struct {
	name   string
	ns     int // descriptor of the namespace
	links  *link.Handle
	files  string // its control socket, log and so on: the beginning of their names
	client *client.Client

	cmd      *exec.Cmd
	stopping atomic.Bool
	ended    chan struct{} // closed when cmd has ended; then err says how
	err      error
}

// newHost makes the namespace; nothing runs in it yet.
func newHost(name, dir string) (*host, error) {
	h := &host{name: name, files: filepath.Join(dir, name)}
	h.client = client.New(h.files + ".sock")
	var err error
	if h.ns, err = link.NewNetNS(); err != nil {
		return nil, explain(err)
	}
	if h.links, err = link.Open(h.ns); err != nil {
		unix.Close(h.ns)
		return nil, err
	}
	return h, nil
}

// in runs f in the host's namespace.
func (h *host) in(f func() error) error { return link.InNetNS(h.ns, f) }

// start starts muennet with these interfaces and returns when it is ready.
// fail is called should it end before stop is.
func (h *host) start(ctx context.Context, channels string, params []string, fail context.CancelCauseFunc) error {
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: h.files + ".notify"})
	if err != nil {
		return err
	}
	defer notify.Close()
	log, err := os.Create(h.files + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	h.cmd = exec.Command("/proc/self/exe", append([]string{"run", "--control", h.files + ".sock",
		"--channels", channels, "--log-level", "warn"}, params...)...)
	h.cmd.Args[0] = "muennet"
	h.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+h.files+".notify")
	h.cmd.Stderr = log
	if err := h.in(h.cmd.Start); err != nil {
		h.cmd = nil
		return fmt.Errorf("%s: start muennet: %w", h.name, err)
	}
	h.ended = make(chan struct{})
	go func() {
		h.err = h.explainEnd(h.cmd.Wait())
		close(h.ended)
		if !h.stopping.Load() {
			fail(h.err)
		}
		notify.Close()
	}()
	defer context.AfterFunc(ctx, func() { notify.Close() })()
	buf := make([]byte, 64)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			return fmt.Errorf("%s: wait until muennet is ready: %w", h.name, err)
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return nil
		}
	}
}

// explainEnd is what to say when muennet has ended unasked.
func (h *host) explainEnd(err error) error {
	end := "it ended"
	if err != nil {
		end = err.Error()
	}
	log, _ := os.ReadFile(h.files + ".log")
	if lines := strings.Split(strings.TrimSpace(string(log)), "\n"); lines[0] != "" {
		end += ": " + lines[len(lines)-1]
	}
	return fmt.Errorf("muennet on %s: %s", h.name, end)
}

// load adds interfaces to the running muennet.
func (h *host) load(ctx context.Context, params []string) error {
	if _, err := h.client.Load(ctx, api.LoadRequest{Parameters: params}); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	return nil
}

// configure gives the interface addresses and brings it up.
func (h *host) configure(name string, addrs []netip.Prefix) error {
	l, err := h.links.ByName(name)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if err := h.links.AddAddress(l.Index, a); err != nil {
			return err
		}
	}
	return h.links.SetUp(l.Index)
}

// awaitPeer returns when the interface carries packets both ways: the kernel
// drops what is sent before it has noticed the carrier, which it does a moment
// after up.
func (h *host) awaitPeer(ctx context.Context, name string) error {
	for {
		s, err := h.client.Interface(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if s.Writer.Enabled && s.Reader.Enabled && s.Reader.Peer == "active" {
			running, err := h.running(name)
			if running || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: writer enabled: %v; peer %s %s", h.name, name, s.Writer.Enabled, s.Reader.Peer, s.Reader.Reason)
		case <-time.After(look):
		}
	}
}

// running tells whether the kernel takes packets for the interface.
func (h *host) running(name string) (is bool, err error) {
	err = h.in(func() error {
		i, err := net.InterfaceByName(name)
		is = err == nil && i.Flags&net.FlagRunning != 0
		return err
	})
	return is, err
}

// neighbour is the hardware address that the host has learned for addr.
func (h *host) neighbour(name string, addr netip.Addr) (mac net.HardwareAddr, err error) {
	l, err := h.links.ByName(name)
	if err != nil {
		return nil, err
	}
	err = h.in(func() error {
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

// stop ends muennet the way an administrator does.
func (h *host) stop() error {
	if h.cmd == nil {
		return nil
	}
	h.stopping.Store(true)
	h.cmd.Process.Signal(unix.SIGTERM) // fails if it has ended, which is as well
	select {
	case <-h.ended:
	case <-time.After(patience / 2):
		h.cmd.Process.Kill()
		<-h.ended
		return fmt.Errorf("muennet on %s did not end on SIGTERM", h.name)
	}
	done := h.cmd.ProcessState.Success()
	h.cmd = nil
	if !done {
		return h.err
	}
	return nil
}

// close ends whatever is left of the host.
func (h *host) close() {
	_ = h.stop() // a reason to go on, not to stay
	h.links.Close()
	unix.Close(h.ns)
}
