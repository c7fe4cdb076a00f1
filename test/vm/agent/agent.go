// Package agent does in a virtual machine what a test outside tells it to:
// makes traffic, looks at it, measures.
//
// A Task is one line of JSON, and so is the Result that answers it. Serve reads
// tasks and does each on a goroutine of its own, so results come in the order
// in which they are ready; ID tells which is whose. Do does one task in the
// calling process and network namespace: the other end of the same traffic,
// outside.
//
// It is for tests only, trusts its client, and keeps what a task left
// in the background, such as a listener, until the process ends.
package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Task is what is to be done. Which fields count depends on Do; times and
// numbers that are 0 have a default.
type Task struct {
	ID int
	Do string // a key of tasks

	Inside     bool          `json:",omitempty"` // in the namespace that task peer has made
	To         string        `json:",omitempty"` // address of an echo service, without port
	Interface  string        `json:",omitempty"`
	Count      int           `json:",omitempty"` // of packets; a process, a signal
	Size       int           `json:",omitempty"` // of each, bytes
	Bytes      int64         `json:",omitempty"` // of a stream
	Mark       uint32        `json:",omitempty"` // Netfilter mark of what is sent
	Time       time.Duration `json:",omitempty"`
	Parameters []string      `json:",omitempty"` // of muennet
	Channels   string        `json:",omitempty"` // directory
	Addresses  []string      `json:",omitempty"` // NAME=ADDRESS/BITS
	Command    []string      `json:",omitempty"` // program and arguments
}

// Result is what came of a Task. Error is empty if it succeeded.
type Result struct {
	ID    int
	Error string `json:",omitempty"`

	Count               int           `json:",omitempty"` // of packets that came back
	Took                time.Duration `json:",omitempty"` // all of it
	Least, Median, Most time.Duration `json:",omitempty"` // of the round trips
	Marks               []uint32      `json:",omitempty"` // of received packets, in order
	Percent             float64       `json:",omitempty"` // of one processor
	Text                []string      `json:",omitempty"`
}

// tasks by name.
var tasks = map[string]func(Task) (Result, error){
	"ping":          pings,
	"reach":         reach,
	"stream":        stream,
	"datagrams":     datagrams,
	"flood":         flood,
	"listen":        listen,
	"send":          send,
	"marks":         marks,
	"reflect":       reflect,
	"frames":        frames,
	"interfaces":    interfaces,
	"cpu":           cpu,
	"doze":          doze,
	"signal":        signal,
	"peer":          peer,
	"command":       command,
	"orphans":       orphans,
	"unikernel":     unikernel,
	"endUnikernels": endUnikernels,
}

// Do does one task.
func Do(t Task) (Result, error) {
	f := tasks[t.Do]
	if f == nil {
		return Result{}, fmt.Errorf("task %q is unknown", t.Do)
	}
	if t.Inside {
		return inside(t, f)
	}
	r, err := f(t)
	if err != nil {
		return r, fmt.Errorf("%s: %w", t.Do, err)
	}
	return r, nil
}

// Serve does the tasks that it reads from conn until that ends. It says hello
// with a Result whose ID is 0.
func Serve(conn io.ReadWriter) error {
	var writing sync.Mutex
	answer := func(r Result) {
		line, err := json.Marshal(r)
		if err != nil {
			line = fmt.Appendf(nil, `{"ID":%d,"Error":%q}`, r.ID, err)
		}
		writing.Lock()
		defer writing.Unlock()
		// If the client is gone, reading ends too.
		_, _ = conn.Write(append(line, '\n'))
	}
	answer(Result{})
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var t Task
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			answer(Result{Error: fmt.Sprintf("read task %q: %v", lines.Text(), err)})
			continue
		}
		go func() {
			r, err := Do(t)
			if err != nil {
				r.Error = err.Error()
			}
			r.ID = t.ID
			answer(r)
		}()
	}
	return lines.Err()
}

// orDefault returns value, or if it is 0 the default.
func orDefault[T int | int64 | time.Duration](value, def T) T {
	if value == 0 {
		return def
	}
	return value
}
