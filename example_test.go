package muennet_test

import (
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/element"
)

// A program has its own interface until it is interrupted.
func ExampleOpen() {
	n, err := muennet.Open(muennet.Config{
		Load: muennet.Load{
			Channels: "/dev/shm/muennet",
			Interfaces: []muennet.Interface{{
				Name: "net0", Format: element.NetHdr,
				In: "channel_in", ReaderProtocol: 2,
				Out: "channel_out", WriterProtocol: 2,
			}},
		},
		Logger: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()

	// Addresses and routes are set as on any interface.
	for _, s := range n.Status() {
		fmt.Println(s.Name, "has index", s.Index)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
}

// A directory has the channels of two unikernels, one of them incomplete.
func ExampleAuto() {
	dir, err := os.MkdirTemp("", "channels")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"keyfender|in", "keyfender|out", "logger|in"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 64<<10), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	load, skipped, err := muennet.Auto(muennet.AutoConfig{Channels: dir, Parameters: []string{"name=key"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range skipped {
		fmt.Println("skipped", s)
	}
	for _, i := range load.Interfaces {
		fmt.Printf("%s reads %s and writes %s\n", i.Name, i.In, i.Out)
	}
	// Pass the load to muennet.Open or Net.Load.

	// Output:
	// skipped logger: half a pair: |in without |out
	// key reads keyfender|out and writes keyfender|in
}
