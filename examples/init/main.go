package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/muennet/muennet"
	"golang.org/x/sys/unix"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is the first process of a system: start a kernel with it, as rdinit=/init")
		os.Exit(2)
	}
	// A goroutine that waits for a channel does so in a system call, and holds
	// its place for a while; the others need places too, on one processor.
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 4))
	s := &system{log: console()}
	signals := s.signals()
	s.boot()
	s.shutDown(s.serve(signals))
}

// console returns the log that goes to the console. The kernel's messages there
// have the time already.
func console() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// system is the running system: what its first process has to look after.
type system struct {
	log      *slog.Logger
	network  network
	program  int // process id of what run= names; 0 if nothing runs
	launched string
}

// boot brings the system up, as far as it can.
func (s *system) boot() {
	s.try(mountAll(basic))
	loaded, err := loadModules("/lib/modules")
	s.try(err)
	if len(loaded) > 0 {
		s.log.Info("modules loaded", "names", loaded)
	}
	// These come with modules.
	s.try(mountAll(muen))

	line, err := muennet.ReadCommandLine()
	s.try(err)
	settings, err := parseWords(line)
	s.try(err)

	s.network.log = s.log
	s.try(s.network.open(settings))
	s.try(s.network.configure(settings))
	s.try(s.network.await())
	s.try(s.network.echo())
	if len(settings.run) > 0 {
		s.try(s.start(settings.run))
	}
}

// try prints an error; what comes next is tried all the same.
func (s *system) try(err error) {
	if err != nil {
		s.log.Error(err.Error())
	}
}

// shutDown ends everything and then the machine: how is a command of reboot(2).
// It does not return unless the kernel refuses.
func (s *system) shutDown(how int) {
	s.log.Info("going down")
	s.endProcesses()
	// The peers see that this end is gone, by their channel's epoch.
	s.try(s.network.close())
	unix.Sync()
	err := unix.Reboot(how)
	s.log.Error(fmt.Sprintf("reboot: %v", err))
	select {}
}
