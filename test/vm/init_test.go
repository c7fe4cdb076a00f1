package vm

import (
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
	"golang.org/x/sys/unix"
)

// TestInitGoesOn boots with nearly everything wrong: what is wrong is told, and
// the rest works.
func TestInitGoesOn(t *testing.T) {
	testnet.CheckLeaks(t)
	memory := sharedMemory(t)
	for _, c := range []struct {
		name  string
		words []string
		want  string // on the console
	}{
		{"no interfaces", nil, ""},
		{"no such channel", []string{"muennet.name=net0", "muennet.in=missing", "muennet.reader_protocol=1"}, `/dev/shm/muennet.*muennet channel create missing`},
		{"no such parameter", []string{"muennet.name=net0", "muennet.colour=red"}, `parameter \\"colour\\": unknown`},
		{"no channels for auto", []string{"muennet.auto"}, `/dev/shm/muennet`},
		{"no such device", []string{"muennet.name=net0", "muennet.in=pci:0000:00:05.0", "muennet.reader_protocol=1"}, `no PCI device 0000:00:05.0; ivshmem devices are 0000:00:04.0`},
		{"another device", []string{"muennet.name=net0", "muennet.in=pci:0000:00:00.0", "muennet.reader_protocol=1"}, `device 0000:00:00.0 is 8086:1237, not an ivshmem device: want 1af4:1110`},
		{"beyond the memory", []string{"muennet.name=net0", "muennet.in=pci:00:04.0@7M+2M", "muennet.reader_protocol=1"}, `the window ends at byte 9437184`},
		{"a window between two words", []string{"muennet.name=net0", "muennet.in=pci:00:04.0@4+1M", "muennet.reader_protocol=1"}, `window offset 4: want a multiple of 8`},
		{"no such interface", []string{"address=net7=10.0.0.1/24"}, `add address 10.0.0.1/24 to net7`},
		{"no address", []string{"address=lo=10.0.0.300/8,lo=10.9.8.7/8"}, `address \\"lo=10.0.0.300/8\\": want NAME=ADDRESS/BITS`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := boot(t, guestConfig{name: "guest", memory: memory, words: c.words})
			if c.want != "" {
				g.printed("level=ERROR .*" + c.want)
			}
			// Its echo service and its program run all the same.
			g.do(agent.Task{Do: "ping", To: "127.0.0.1"})
			g.do(agent.Task{Do: "datagrams", To: "127.0.0.1"})
			if c.name == "no address" {
				if list := strings.Join(g.do(agent.Task{Do: "interfaces"}).Text, "\n"); !strings.Contains(list, "10.9.8.7/8") {
					t.Errorf("the other address is missing:\n%s", list)
				}
			}
			g.powerOff()
		})
	}
}

// TestInitCollectsOrphans makes processes whose parents end before them. They
// are the first process's then, and would stay for ever if it did not wait for
// them.
func TestInitCollectsOrphans(t *testing.T) {
	testnet.CheckLeaks(t)
	g := boot(t, guestConfig{name: "guest"})
	g.do(agent.Task{Do: "orphans", Count: 20})
	g.powerOff()
}

// TestInitRestarts sends what the kernel sends for ctrl-alt-del. QEMU has been
// told to end where a machine would start again.
func TestInitRestarts(t *testing.T) {
	testnet.CheckLeaks(t)
	g := boot(t, guestConfig{name: "guest"})
	g.begin(agent.Task{Do: "signal", Count: int(unix.SIGINT)})
	g.await("that it restarts", g.ended)
	g.printed("(?m)^.*going down.*$")
	if g.exit != nil {
		t.Errorf("it ends with %v", g.exit)
	}
}

// TestCommandInGuest runs the program muennet where it is not in the first
// process: its daemon on the memory of a device.
func TestCommandInGuest(t *testing.T) {
	testnet.CheckLeaks(t)
	g := boot(t, guestConfig{name: "guest", memory: sharedMemory(t), files: []file{command(t)}})
	muennet := func(args ...string) (string, error) {
		t.Helper()
		r, err := g.try(agent.Task{Do: "command", Command: append([]string{"/bin/muennet"}, args...)})
		return strings.Join(r.Text, "\n"), err
	}
	says := func(want string, args ...string) {
		t.Helper()
		if out, err := muennet(args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("muennet %s: want %q, got %v:\n%s", strings.Join(args, " "), want, err, out)
		}
	}
	refuses := func(want string, args ...string) {
		t.Helper()
		if out, err := muennet(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("muennet %s: want an error with %q, got %v:\n%s", strings.Join(args, " "), want, err, out)
		}
	}
	says("pci:0000:00:04.0", "channel", "list")
	says("", "channel", "create", pciMemory+"@1M+1M")
	says("inactive", "channel", "show", pciMemory+"@1M+1M")
	refuses("not an ivshmem device", "channel", "show", "pci:0000:00:00.0")
	says("", "load", "name=net0", "in="+pciMemory+"@0+1M", "out="+pciMemory+"@1M+1M", "flags=net_hdr", "reader_protocol=1", "writer_protocol=1")
	says("polling", "show", "net0")
	refuses("net0 is loaded already", "load", "name=net1", "out="+pciMemory+"@1M+1M", "writer_protocol=1")
	says("", "unload")
	refuses("", "show")
	g.powerOff()
}
