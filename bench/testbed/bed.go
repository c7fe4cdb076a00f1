package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/netlab"
)

// patience bounds every wait for a program.
const patience = 20 * time.Second

// Ports that servers listen on. slirp4netns and pasta forward exactly these to
// b. Those of a and b differ because a forwarded port of b is taken at a.
const (
	PortA = 7001 // and 7002, at a
	PortB = 7011 // and 7012, at b
)

// ports are those of b that are forwarded.
var ports = []uint16{PortB, PortB + 1}

// device is the name of a system's interface on both sides.
const device = "net0"

// Bed is a running system.
type Bed struct {
	A, B *Host

	cfg      Config
	fail     context.CancelCauseFunc // called when a program ends before Close
	programs []*program
	pinned   string // a mount of b's namespace
}

// Host is one of the two namespaces.
type Host struct {
	*netlab.Namespace
	// Addr is the address at which the other host reaches it. To listen,
	// use the unspecified address.
	Addr netip.Addr
	// FirstPort is the first of the two ports to listen on.
	FirstPort uint16
}

// program is a process that belongs to a system.
type program struct {
	*netlab.Cmd
	name, log string
}

// newBed makes the two namespaces. The context it returns ends with ctx and
// when a program of the bed ends.
func newBed(ctx context.Context, cfg Config) (_ *Bed, _ context.Context, err error) {
	b := &Bed{cfg: cfg}
	ctx, b.fail = context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.A, err = newHost("10.77.0.1", PortA); err != nil {
		return nil, nil, err
	}
	if b.B, err = newHost("10.77.0.2", PortB); err != nil {
		return nil, nil, err
	}
	return b, ctx, nil
}

func newHost(addr string, port uint16) (*Host, error) {
	ns, err := netlab.New()
	if err != nil {
		return nil, err
	}
	// Only the measurement sends packets.
	if err := ns.Quiet(); err != nil {
		ns.Close()
		return nil, err
	}
	return &Host{Namespace: ns, Addr: netip.MustParseAddr(addr), FirstPort: port}, nil
}

// Exec starts a command in the host's namespace.
func (h *Host) Exec(cmd *exec.Cmd) error { return h.In(cmd.Start) }

// run runs a command in the host's namespace to its end.
func (h *Host) run(name string, args ...string) error {
	out, err := h.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// up gives an interface an address with a prefix of 24 bits and brings it up.
func (h *Host) up(name, addr string) error {
	return h.Up(name, netip.PrefixFrom(netip.MustParseAddr(addr), 24))
}

// bothUp gives the devices of both sides their addresses and brings them up.
func (b *Bed) bothUp() error {
	for _, h := range []*Host{b.A, b.B} {
		if err := h.up(device, h.Addr.String()); err != nil {
			return err
		}
	}
	return nil
}

// start starts a program of the system in the host's namespace. Messages and
// file names call it name.
func (b *Bed) start(h *Host, name, command string, args ...string) error {
	return b.startBy((*netlab.Cmd).Start, h, name, command, args...)
}

// startBy is start with another way to start.
func (b *Bed) startBy(start func(*netlab.Cmd) error, h *Host, name, command string, args ...string) error {
	p := &program{Cmd: h.Command(command, args...), name: name, log: filepath.Join(b.cfg.Dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close()
	p.Stdout, p.Stderr = log, log
	// Some programs end at the end of their input.
	if _, err := p.StdinPipe(); err != nil {
		return err
	}
	err = start(p.Cmd)
	if p.Process == nil {
		return fmt.Errorf("start %s: %w", command, err)
	}
	b.programs = append(b.programs, p)
	go func() {
		<-p.Ended()
		b.fail(fmt.Errorf("%s has ended: %v", p.name, p.ProcessState))
	}()
	return err
}

// until waits until done returns nil. It gives up with done's last error.
func until(ctx context.Context, done func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return netlab.Until(ctx, done)
}

// await returns when a TCP connection gets an answer both ways. Nothing listens
// yet, so a refusal proves the path.
func (b *Bed) await(ctx context.Context) error {
	for _, way := range []struct{ from, to *Host }{{b.A, b.B}, {b.B, b.A}} {
		err := until(ctx, func() error {
			return way.from.In(func() error {
				addr := netip.AddrPortFrom(way.to.Addr, way.to.FirstPort)
				conn, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond)
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
			return fmt.Errorf("reach %v: %w", way.to.Addr, err)
		}
	}
	return nil
}

// Memory returns the resident memory of the system's programs in bytes, with
// memory that several of them share counted once (PSS). It is 0 for systems in
// the kernel.
func (b *Bed) Memory() (bytes uint64, err error) {
	for _, p := range b.programs {
		n, err := proportional(p.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", p.name, err)
		}
		bytes += n
	}
	return bytes, nil
}

// proportional returns the Pss of a process in bytes.
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
	b.fail(nil)
	for _, p := range slices.Backward(b.programs) {
		_ = p.Stop(patience / 4) // how it ends does not matter now
	}
	b.programs = nil
	if b.pinned != "" {
		_ = unix.Unmount(b.pinned, unix.MNT_DETACH) // no remedy if it fails
		b.pinned = ""
	}
	for _, h := range []**Host{&b.A, &b.B} {
		if *h != nil {
			(*h).Close()
			*h = nil
		}
	}
}
