package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/muennet/muennet/internal/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// patience bounds every wait for a program.
const patience = 20 * time.Second

// Ports that servers listen on. slirp4netns and pasta forward exactly these to
// b. Those of a and b differ because a forwarded port of b is taken at a.
const (
	PortA = 7001 // and 7002, at a
	PortB = 7011 // and 7012, at b
)

// ports are those of b, to be forwarded.
var ports = []uint16{PortB, PortB + 1}

// device is the interface of a system, on either side.
const device = "net0"

// Bed is a system that is up.
type Bed struct {
	A, B *Host

	cfg      Config
	programs []*program
	pinned   string // a mount of b's namespace
}

// Host is one of the two namespaces.
type Host struct {
	// Addr is the address at which the other host reaches it. To listen, take
	// the unspecified address.
	Addr netip.Addr
	// FirstPort is the first of the two ports to listen on.
	FirstPort uint16

	ns    int
	links *link.Handle
}

// program is a process that belongs to a system.
type program struct {
	name, log string
	cmd       *exec.Cmd
	ended     chan struct{}
}

func newBed(cfg Config) (b *Bed, err error) {
	b = &Bed{cfg: cfg}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.A, err = newHost("10.77.0.1", PortA); err != nil {
		return nil, err
	}
	if b.B, err = newHost("10.77.0.2", PortB); err != nil {
		return nil, err
	}
	return b, nil
}

func newHost(addr string, port uint16) (*Host, error) {
	ns, err := link.NewNetNS()
	if err != nil {
		return nil, err
	}
	h := &Host{Addr: netip.MustParseAddr(addr), FirstPort: port, ns: ns}
	if h.links, err = link.Open(ns); err != nil {
		unix.Close(ns)
		return nil, err
	}
	// No packets but those of the measurement.
	err = h.sysctl("net/ipv6/conf/default/disable_ipv6", "1")
	if err == nil {
		err = h.up("lo", "")
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *Host) close() {
	h.links.Close()
	unix.Close(h.ns)
}

// Exec starts a command in the host's namespace.
func (h *Host) Exec(cmd *exec.Cmd) error { return link.InNetNS(h.ns, cmd.Start) }

// run runs a command in the host's namespace to its end.
func (h *Host) run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.Exec(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

func (h *Host) sysctl(key, value string) error {
	return link.InNetNS(h.ns, func() error {
		err := os.WriteFile("/proc/sys/"+key, []byte(value), 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a kernel without IPv6
		}
		return err
	})
}

// up gives an interface an address, unless it is empty, and brings it up.
func (h *Host) up(name, addr string) error {
	s, err := h.links.ByName(name)
	if err != nil {
		return err
	}
	if addr != "" {
		if err := h.links.AddAddress(s.Index, netip.MustParsePrefix(addr)); err != nil {
			return err
		}
	}
	return h.links.SetUp(s.Index)
}

// hasCarrier is nil when the kernel takes packets for the interface.
func (h *Host) hasCarrier(name string) error {
	return link.InNetNS(h.ns, func() error {
		i, err := net.InterfaceByName(name)
		if err == nil && i.Flags&net.FlagRunning == 0 {
			err = fmt.Errorf("%s has no carrier", name)
		}
		return err
	})
}

// bothUp gives the device of either side its address.
func (b *Bed) bothUp() error {
	for _, h := range []*Host{b.A, b.B} {
		if err := h.up(device, h.Addr.String()+"/24"); err != nil {
			return err
		}
	}
	return nil
}

// joinByVeth joins the hosts by veth interfaces of this name and MTU.
func (b *Bed) joinByVeth(name string, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, mtu
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerMTU: uint32(mtu), PeerNamespace: netlink.NsFd(b.B.ns)}
	return link.InNetNS(b.A.ns, func() error {
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add veth: %w", err)
		}
		return nil
	})
}

// start starts a program of the system in the host's namespace, as name in
// messages and file names.
func (b *Bed) start(h *Host, name string, env []string, command string, args ...string) (*program, error) {
	p := &program{name: name, log: filepath.Join(b.cfg.Dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(command, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// Some end when their input does.
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := h.Exec(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", command, err)
	}
	b.programs = append(b.programs, p)
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is for the log
	}()
	return p, nil
}

// until calls done until it returns nil, and gives up with its last error.
func (b *Bed) until(ctx context.Context, done func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := done()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		for _, p := range b.programs {
			select {
			case <-p.ended:
				return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
			default:
			}
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// await returns when a TCP connection gets an answer both ways. Nobody listens
// yet, so a refusal is what proves the path.
func (b *Bed) await(ctx context.Context) error {
	for _, way := range []struct{ from, to *Host }{{b.A, b.B}, {b.B, b.A}} {
		err := b.until(ctx, func() error {
			return link.InNetNS(way.from.ns, func() error {
				addr := net.JoinHostPort(way.to.Addr.String(), strconv.Itoa(int(way.to.FirstPort)))
				conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
				if errors.Is(err, unix.ECONNREFUSED) {
					return nil
				}
				if err == nil {
					conn.Close()
				}
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("no way to %v: %w", way.to.Addr, err)
		}
	}
	return nil
}

// Memory is what the programs of the system keep resident, in bytes, with
// memory that several of them share counted once (PSS). It is 0 for systems
// that live in the kernel.
func (b *Bed) Memory() (bytes uint64, err error) {
	for _, p := range b.programs {
		n, err := proportional(p.cmd.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", p.name, err)
		}
		bytes += n
	}
	return bytes, nil
}

// proportional is the Pss of a process in bytes.
func proportional(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no Pss in smaps_rollup")
}

// Close ends the programs and the namespaces. It may be called again.
func (b *Bed) Close() {
	for i := len(b.programs) - 1; i >= 0; i-- {
		p := b.programs[i]
		_ = p.cmd.Process.Signal(unix.SIGTERM) // it may have ended
		select {
		case <-p.ended:
		case <-time.After(patience / 4):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	b.programs = nil
	if b.pinned != "" {
		_ = unix.Unmount(b.pinned, unix.MNT_DETACH) // nothing can be done about it
		b.pinned = ""
	}
	for _, h := range []**Host{&b.A, &b.B} {
		if *h != nil {
			(*h).close()
			*h = nil
		}
	}
}
