package traffic

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Role is what an end does.
type Role string

// The roles, in pairs. A sink and an echo wait at an address, the others go
// there.
const (
	StreamSink   Role = "stream-sink"   // takes TCP connections and reads them to their end
	StreamSource Role = "stream-source" // writes as much as it can
	FloodSink    Role = "flood-sink"    // counts datagrams
	FloodSource  Role = "flood-source"  // sends as many as it can
	Echo         Role = "echo"          // returns each request of one TCP connection
	Ping         Role = "ping"          // sends the next request when the answer is there
)

// DatagramSize and RequestSize are the bytes of data in a datagram of a flood,
// and in a request and an answer.
const (
	DatagramSize = 64
	RequestSize  = 64
)

// Job is what one process has to do.
type Job struct {
	Role    Role           `json:"role"`
	Addr    netip.AddrPort `json:"addr"`
	Streams int            `json:"streams,omitempty"` // TCP connections of a stream, at least 1
}

// Window is the time that counts, in nanoseconds of CLOCK_MONOTONIC. Traffic
// starts earlier, as soon as the window is known, and ends with it.
type Window struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Result is what an end has seen. Units are bytes of a stream, datagrams of a
// flood, and requests whose round trip the window saw at least the end of.
type Result struct {
	Units uint64        `json:"units"` // within the window
	Took  time.Duration `json:"took"`  // the window as it was really kept
	Total uint64        `json:"total"` // from beginning to end
	P50   time.Duration `json:"p50,omitempty"`
	P99   time.Duration `json:"p99,omitempty"`
}

// Now is the time of CLOCK_MONOTONIC in nanoseconds.
func Now() int64 {
	var t unix.Timespec
	// It can fail only for a clock that does not exist.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// SleepUntil returns at that time of CLOCK_MONOTONIC or a little later.
func SleepUntil(t int64) { time.Sleep(time.Duration(t - Now())) }

// environment holds the job of a process that Start has started.
const environment = "MUENNET_BENCH_JOB"

// Child does the job this process was started for, and exits. It returns at
// once in a process that Start has not started.
func Child() {
	job, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	if err := child(job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(text string) error {
	var job Job
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	do, ok := map[Role]func(Job, parent) (Result, error){
		StreamSink: streamSink, StreamSource: streamSource,
		FloodSink: floodSink, FloodSource: floodSource,
		Echo: echo, Ping: ping,
	}[job.Role]
	if !ok {
		return fmt.Errorf("read job: no role %q", job.Role)
	}
	result, err := do(job, parent{bufio.NewReader(os.Stdin)})
	if err != nil {
		return fmt.Errorf("%s %v: %w", job.Role, job.Addr, err)
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// parent is the process that waits for this one.
type parent struct{ in *bufio.Reader }

// ready says that the socket is there, and returns the window.
func (p parent) ready() (w Window, err error) {
	if _, err := fmt.Println("ready"); err != nil {
		return w, err
	}
	line, err := p.in.ReadBytes('\n')
	if err != nil {
		if err == io.EOF {
			err = fmt.Errorf("the parent is gone: %w", err)
		}
		return w, err
	}
	return w, json.Unmarshal(line, &w)
}
