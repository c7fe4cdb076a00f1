package vm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
	"golang.org/x/sys/unix"
)

// patience bounds every wait of these tests.
const patience = testnet.Patience

// guestConfig says what a guest is.
type guestConfig struct {
	name     string   // in messages and of its log
	kernel   kernel   // the zero value is debian
	memory   string   // file that is the guest's ivshmem device, pciMemory; "" for none
	words    []string // of the kernel command line, for init
	base     []byte   // archive with another first process; nil for ours
	files    []file   // for the guest's file system
	megabyte int      // of memory; 0 means 256
	// instruction is how long the guest's clock takes each of its instructions to
	// last, 2^instruction ns, and nothing else; 0 leaves it the real time.
	instruction int
}

// guest is a virtual machine that runs until the test ends, or end is called.
type guest struct {
	t       *testing.T
	cfg     guestConfig
	console string // file with what the guest has printed
	monitor string // socket for commands to QEMU
	qemu    *os.Process
	ended   chan struct{} // closed when QEMU is gone
	exit    error         // why; valid then

	tasks io.WriteCloser

	mu      sync.Mutex // guards the fields below
	id      int
	pending map[int]chan agent.Result
	ready   chan struct{} // closed when the guest takes tasks
}

// monitors numbers the sockets.
var monitors atomic.Int32

// boot starts a guest and waits until it takes tasks.
func boot(t *testing.T, cfg guestConfig) *guest {
	t.Helper()
	g := start(t, cfg)
	g.await("that it takes tasks", g.ready)
	return g
}

// start starts a guest.
func start(t *testing.T, cfg guestConfig) *guest {
	t.Helper()
	if cfg.kernel == (kernel{}) {
		cfg.kernel = debian
	}
	qemu := need(t, cfg.kernel)
	g := &guest{
		t: t, cfg: cfg, console: filepath.Join(t.TempDir(), "console"), ended: make(chan struct{}),
		// Its path has to be short, that of a test's directory may be long.
		monitor: filepath.Join(built, fmt.Sprintf("monitor-%d", monitors.Add(1))),
		pending: make(map[int]chan agent.Result), ready: make(chan struct{}),
	}
	c := exec.Command(qemu, g.arguments()...)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.tasks = in
	// Whatever happens to the test, QEMU goes with it. The kernel sends the
	// signal when the thread ends that has started QEMU, so one is kept for that.
	c.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := c.Start()
		started <- err
		if err != nil {
			return
		}
		g.read(out)
		g.exit = c.Wait()
		if complaints.Len() > 0 {
			g.exit = fmt.Errorf("%w: %s", errors.Join(g.exit, errors.New("QEMU said")), bytes.TrimSpace(complaints.Bytes()))
		}
		close(g.ended)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	g.qemu = c.Process
	t.Cleanup(g.cleanup)
	return g
}

// arguments returns those of QEMU.
func (g *guest) arguments() []string {
	if g.cfg.megabyte == 0 {
		g.cfg.megabyte = 256
	}
	line := append([]string{"console=ttyS0", "loglevel=4", "panic=-1", "run=/bin/exercise"}, g.cfg.words...)
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", fmt.Sprintf("%dM", g.cfg.megabyte),
		"-serial", "file:" + g.console, "-serial", "stdio",
		"-kernel", g.cfg.kernel.image(), "-initrd", image(g.t, g.cfg.kernel, g.cfg.base, g.cfg.files), "-append", strings.Join(line, " "),
	}
	if g.cfg.instruction != 0 {
		args = append(args, "-icount", fmt.Sprintf("shift=%d,sleep=off", g.cfg.instruction))
	}
	if g.cfg.memory != "" {
		args = append(args,
			"-object", fmt.Sprintf("memory-backend-file,id=shared,mem-path=%s,size=%d,share=on", g.cfg.memory, memorySize),
			"-device", "ivshmem-plain,id=link,memdev=shared,addr=04.0",
			"-monitor", "unix:"+g.monitor+",server=on,wait=off")
	}
	return args
}

// read takes results until the guest is gone.
func (g *guest) read(out io.Reader) {
	ready := sync.OnceFunc(func() { close(g.ready) })
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r agent.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue // the noise of a line that comes up
		}
		if r.ID == 0 && r.Error == "" {
			ready()
		}
		g.mu.Lock()
		c := g.pending[r.ID]
		delete(g.pending, r.ID)
		g.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
}

// begin gives the guest a task, whose result comes through the channel.
func (g *guest) begin(task agent.Task) <-chan agent.Result {
	g.t.Helper()
	g.mu.Lock()
	g.id++
	task.ID = g.id
	c := make(chan agent.Result, 1)
	g.pending[task.ID] = c
	g.mu.Unlock()
	line, err := json.Marshal(task)
	if err == nil {
		_, err = g.tasks.Write(append(line, '\n'))
	}
	if err != nil {
		g.t.Fatalf("%s: give task %s: %v", g.cfg.name, task.Do, err)
	}
	return c
}

// try does a task in the guest.
func (g *guest) try(task agent.Task) (agent.Result, error) {
	g.t.Helper()
	return g.result(task, g.begin(task))
}

// result waits for the result of a task.
func (g *guest) result(task agent.Task, c <-chan agent.Result) (agent.Result, error) {
	g.t.Helper()
	select {
	case r := <-c:
		if r.Error != "" {
			return r, fmt.Errorf("%s: %s", g.cfg.name, r.Error)
		}
		return r, nil
	case <-g.ended:
		g.t.Fatalf("%s ended during task %s: %v", g.cfg.name, task.Do, g.exit)
	case <-time.After(2*patience + task.Time):
		g.t.Fatalf("%s: task %s has no end", g.cfg.name, task.Do)
	}
	return agent.Result{}, nil
}

// do is try for a task that must succeed.
func (g *guest) do(task agent.Task) agent.Result {
	g.t.Helper()
	r, err := g.try(task)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// await waits until a channel is closed.
func (g *guest) await(what string, c <-chan struct{}) {
	g.t.Helper()
	select {
	case <-c:
	case <-g.ended:
		select {
		case <-c:
		default:
			g.t.Fatalf("%s ended before %s: %v", g.cfg.name, what, g.exit)
		}
	case <-time.After(patience):
		g.t.Fatalf("%s: waited %v in vain: %s", g.cfg.name, patience, what)
	}
}

// log returns what the guest has printed so far.
func (g *guest) log() string {
	g.t.Helper()
	text, err := os.ReadFile(g.console)
	if errors.Is(err, os.ErrNotExist) {
		return "" // QEMU has not got that far
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// printed waits until the console has a match of the pattern, and returns what
// its first group has matched in the last one.
func (g *guest) printed(pattern string) string {
	g.t.Helper()
	want := regexp.MustCompile(pattern)
	var found [][]string
	testnet.Eventually(g.t, g.cfg.name+" prints "+pattern, func() bool {
		found = want.FindAllStringSubmatch(g.log(), -1)
		return found != nil
	})
	last := found[len(found)-1]
	return last[len(last)-1]
}

// state asks for the state of an interface of the guest's first process.
func (g *guest) state(name string) (s muennet.Status) {
	g.t.Helper()
	const mark = "state: {"
	seen := strings.Count(g.log(), mark)
	var asked time.Time
	testnet.Eventually(g.t, g.cfg.name+" prints the state of "+name, func() bool {
		// More than once: the kernel may print something in the middle of a line.
		if time.Since(asked) > 5*time.Second {
			g.do(agent.Task{Do: "signal", Count: int(unix.SIGUSR1)})
			asked = time.Now()
		}
		for _, part := range strings.Split(g.log(), mark)[1+seen:] {
			line, _, whole := strings.Cut(part, "\n")
			if whole && json.Unmarshal([]byte("{"+line), &s) == nil && s.Name == name {
				return true
			}
		}
		return false
	})
	return s
}

// powerOff has the guest end in good order, and waits for it.
func (g *guest) powerOff() {
	g.t.Helper()
	g.begin(agent.Task{Do: "signal", Count: int(unix.SIGTERM)})
	select {
	case <-g.ended:
		if g.exit != nil {
			g.t.Errorf("%s does not power off in good order: %v", g.cfg.name, g.exit)
		}
	case <-time.After(patience):
		g.t.Fatalf("%s does not power off", g.cfg.name)
	}
}

// unplug pulls the shared memory out of the running guest.
func (g *guest) unplug() {
	g.t.Helper()
	conn, err := net.Dial("unix", g.monitor)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("device_del link\n")); err != nil {
		g.t.Fatal(err)
	}
	// A prompt before the command, and one when it is done. The guest has yet to
	// agree, so this is not the moment at which the device is gone.
	var said []byte
	for buf := make([]byte, 1024); bytes.Count(said, []byte("(qemu)")) < 2; {
		n, err := conn.Read(buf)
		if err != nil {
			g.t.Fatalf("unplug: %v: %s", err, said)
		}
		said = append(said, buf[:n]...)
	}
}

// kill ends the guest where it stands.
func (g *guest) kill() {
	_ = g.qemu.Kill() // or it has ended already
	<-g.ended
	g.tasks.Close()
}

// cleanup ends the guest and keeps the console's log of a failed test.
func (g *guest) cleanup() {
	g.kill()
	if !g.t.Failed() {
		return
	}
	path, err := filepath.Abs(filepath.Join(dir, "logs", strings.ReplaceAll(g.t.Name(), "/", "_")+"-"+g.cfg.name+".log"))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, []byte(g.log()), 0o644)
	}
	if err != nil {
		g.t.Logf("console log of %s is not kept: %v", g.cfg.name, err)
		return
	}
	g.t.Logf("console log of %s: %s", g.cfg.name, path)
}
