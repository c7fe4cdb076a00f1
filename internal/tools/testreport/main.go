// Command testreport runs go test and tells at the end what the stream of
// results hides: which tests were skipped and why, and how many passed, failed
// and were skipped.
//
//	go run ./internal/tools/testreport [argument of go test ...]
//
// Its exit code is that of go test. Output of tests is printed for packages
// that fail only, or as it comes with -v among the arguments.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
)

func main() {
	signal.Ignore(os.Interrupt) // go test ends on it, then so do we
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "testreport: %v\n", err)
	}
	os.Exit(code)
}

// run runs go test with these arguments.
func run(args []string) (code int, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	r := newReport(os.Stdout, slices.Contains(args, "-v"))
	readErr := r.read(events)
	waitErr := cmd.Wait()
	r.summary()
	if waitErr != nil {
		return max(cmd.ProcessState.ExitCode(), 1), nil
	}
	if readErr != nil {
		return 1, readErr
	}
	return 0, nil
}
