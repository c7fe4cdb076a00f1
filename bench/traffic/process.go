package traffic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Patience bounds how long a process may take for what it does outside its
// window. Only a path that has stopped carrying packets takes so long.
const Patience = 20 * time.Second

// Process is an end seen from the parent.
type Process struct {
	job    Job
	cmd    *exec.Cmd
	in     *os.File // becomes its standard input
	out    *bufio.Reader
	stdout *os.File
	errors bytes.Buffer
	timer  *time.Timer
}

// Start starts an end and returns when it is ready for its window. The command
// is handed to start, which has to start it, in a namespace for example. Close
// must be called on the Process.
func Start(job Job, start func(*exec.Cmd) error) (*Process, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	p := &Process{job: job, cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), environment+"="+string(text))
	p.cmd.Stderr = &p.errors
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		stdin.Close()
		in.Close()
		return nil, err
	}
	p.cmd.Stdin, p.cmd.Stdout = stdin, stdout
	p.in, p.stdout, p.out = in, out, bufio.NewReader(out)
	err = start(p.cmd)
	// The other process has its own; ours would keep its end from being seen.
	stdin.Close()
	stdout.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start %s: %w", job.Role, err)
	}
	p.timer = time.AfterFunc(Patience, func() { _ = p.cmd.Process.Kill() })
	line, err := p.out.ReadString('\n')
	if line != "ready\n" {
		p.Close()
		return nil, p.explain("not ready", err)
	}
	p.timer.Stop()
	return p, nil
}

// Measure tells the end its window and lets it begin.
func (p *Process) Measure(w Window) error {
	p.timer.Reset(time.Duration(w.To-Now()) + Patience)
	return json.NewEncoder(p.in).Encode(w)
}

// Result waits until the end is done.
func (p *Process) Result() (r Result, err error) {
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		p.Close()
		return r, p.explain("no result", err)
	}
	return r, nil
}

// Close ends the process, whatever it does, and waits for it. It may be called
// again.
func (p *Process) Close() {
	p.timer.Stop()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()         // says that it was killed
	p.in.Close()
	p.stdout.Close()
}

func (p *Process) explain(what string, err error) error {
	if said := strings.TrimSpace(p.errors.String()); said != "" {
		return fmt.Errorf("%s: %s", what, said)
	}
	return fmt.Errorf("%s %v: %s: %w (%v)", p.job.Role, p.job.Addr, what, err, p.cmd.ProcessState)
}
