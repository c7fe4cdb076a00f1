package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/region"
)

// Config configures the process.
type Config struct {
	// Control is the path of the control socket.
	Control string
	// Group is the name or number of the group whose members may make changes;
	// empty means none.
	Group string
	// Load holds the initial interfaces. Load.Channels is also the directory of
	// later loads that name none.
	Load muennet.Load
	// Version is the answer to GET /v1/version; Run fills in the PID.
	Version api.Version
	// Brief ends the process with its last interface, whether it was unloaded,
	// deleted by an administrator or gone with its network namespace.
	Brief bool
	// NoBPF is that of muennet.Config.
	NoBPF bool
	// Logger receives messages for the administrator; nil means slog.Default.
	Logger *slog.Logger
	// Ready, if not nil, is called when the interfaces exist and the API
	// answers.
	Ready func()
}

// StateFile returns the path of the file that records the devices of the
// process with this control socket, to find them after a crash.
func StateFile(control string) string { return control + ".state" }

// Run creates the interfaces, serves the control API, and returns after a clean
// stop: when ctx is done, a client requested a shutdown, or, if cfg.Brief is
// set, the last interface was removed. If another process serves the socket,
// the error is an *InUseError. On error nothing is left behind.
func Run(ctx context.Context, cfg Config) error {
	return run(ctx, cfg, func(c muennet.Config) (network, error) { return muennet.Open(c) })
}

// Forget removes the interfaces that a process with this control socket left
// behind in a crash, and its socket, and returns the names of the interfaces.
// While such a process runs, the error is an *InUseError.
func Forget(control string) (names []string, err error) {
	control, err = filepath.Abs(control)
	if err != nil {
		return nil, err
	}
	l, err := acquire(control)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	if err := removeStale(control); err != nil {
		return nil, err
	}
	return muennet.Forget(StateFile(control))
}

// leastProcs is the least GOMAXPROCS, however few processors there are. A
// goroutine that waits for a channel in a system call keeps its P for up to 10
// ms, until the Go runtime retakes it. With a single P, packets of the other
// direction would wait as long.
const leastProcs = 4

func raiseProcs() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < leastProcs {
		runtime.GOMAXPROCS(leastProcs)
	}
}

func run(ctx context.Context, cfg Config, open func(muennet.Config) (network, error)) (err error) {
	raiseProcs()
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	group, err := groupID(cfg.Group)
	if err != nil {
		return err
	}
	control, err := filepath.Abs(cfg.Control)
	if err != nil {
		return err
	}
	l, err := acquire(control)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	// The socket comes before the interfaces because its failure is cheaper to
	// undo. Clients that connect early wait in its backlog.
	socket, err := listen(control, group)
	if err != nil {
		return err
	}
	defer socket.Close()
	deleted := make(chan struct{}, 1)
	n, err := open(muennet.Config{Load: cfg.Load, State: StateFile(control), Logger: log, NoBPF: cfg.NoBPF, Deleted: func() {
		select {
		case deleted <- struct{}{}:
		default: // one signal is enough
		}
	}})
	if err != nil {
		return err
	}
	cfg.Version.PID = os.Getpid()
	s := newServer(n, cfg.Version, group, log)
	if s.channels = cfg.Load.Channels; s.channels == "" {
		s.channels = region.DefaultDir()
	}
	s.brief, s.deleted = cfg.Brief, deleted
	err = s.serve(ctx, socket, cfg.Ready)
	if e := s.close(); e != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", e))
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// serve answers requests until ctx is done or the network was closed.
func (s *server) serve(ctx context.Context, socket net.Listener, ready func()) error {
	h, g := s.httpServer(), newGate(socket, s.log)
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(g) }()
	if err := notify("READY=1"); err != nil {
		s.log.Warn("ready", "err", err)
	}
	s.log.Info("ready", "control", socket.Addr().String(), "version", s.version.Version, "interfaces", s.names())
	if ready != nil {
		ready()
	}
	for running := true; running; {
		select {
		case err := <-failed:
			return fmt.Errorf("serve control socket: %w", err)
		case <-s.deleted:
			s.interfacesDeleted()
		case <-s.done:
			running = false
		case <-ctx.Done():
			running = false
		}
	}
	// Close the network first, so that clients that wait for a change get an
	// answer, not a broken connection.
	s.close()
	grace, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	drain(grace, socket)
	g.end()
	g.wait(grace) // http.Server.Shutdown answers no request that it reads later
	if h.Shutdown(grace) != nil {
		h.Close()
	}
	<-failed
	return nil
}
