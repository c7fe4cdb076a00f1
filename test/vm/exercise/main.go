// Command exercise runs inside the virtual machines of the tests, started by
// their first process: it does the tasks of package agent that come through a
// serial line, /dev/ttyS1 unless another one is named.
package main

import (
	"fmt"
	"os"

	"github.com/muennet/muennet/test/vm/agent"
	"golang.org/x/sys/unix"
)

func main() {
	if done, err := agent.Orphan(os.Args[1:]); done {
		end(err)
	}
	path := "/dev/ttyS1"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	end(serve(path))
}

func end(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "exercise: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(path string) error {
	line, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	// As it is, a terminal changes bytes and sends back what it receives.
	raw := unix.Termios{
		Cflag: unix.B115200 | unix.CS8 | unix.CREAD | unix.CLOCAL, Ispeed: 115200, Ospeed: 115200,
		Cc: [19]uint8{unix.VMIN: 1},
	}
	if err := unix.IoctlSetTermios(int(line.Fd()), unix.TCSETS, &raw); err != nil {
		return fmt.Errorf("prepare %s: %w", path, err)
	}
	return agent.Serve(line)
}
