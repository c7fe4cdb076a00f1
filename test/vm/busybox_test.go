package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// uroot is the program that builds the image. It is built outside our module,
// which does not get what it needs.
const uroot = "github.com/u-root/u-root@v0.16.0"

// busybox is an image of u-root's busybox mode: one program that is all
// commands, with a link for each in /bbin, and init as the first process. It is
// built outside of modules, from sources that u-root rewrites, so that Go's
// defaults in it are those of Go 1.20.
func busybox(t *testing.T, commands ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	install := exec.Command("go", "install", uroot)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("build %s: %v\n%s", uroot, err, out)
		}
		t.Skipf("no %s: %v", uroot, err)
	}
	path := filepath.Join(dir, "image.cpio")
	build := exec.Command(filepath.Join(dir, "u-root"), append([]string{
		"-base=/dev/null", "-defaultsh=", "-initcmd=init", "-o=" + path, "-tmp-dir=" + filepath.Join(dir, "tmp")}, commands...)...)
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build an image with u-root: %v\n%s", err, out)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestBusybox loads interfaces as NetHSM does, whose system is such an image:
// in the first process, and by the command.
func TestBusybox(t *testing.T) {
	testnet.CheckLeaks(t)
	need(t, debian)
	g := boot(t, guestConfig{
		name: "busybox", base: busybox(t, "./cmd/muennet", "./cmd/muennet_cfg", "./examples/init"), memory: sharedMemory(t),
		words: []string{
			"muennet.name=net0", "muennet.in=" + pciMemory + "@0+1M", "muennet.reader_protocol=1", "address=net0=10.0.0.1/24",
		},
	})
	g.openToRunning("net0")

	run := func(line string) string {
		t.Helper()
		return strings.Join(g.do(agent.Task{Do: "command", Command: strings.Fields(line)}).Text, "\n")
	}
	run("/bbin/muennet channel create a")
	run("/bbin/muennet channel create b")
	// Each request of the control API goes another way through it.
	run("/bbin/muennet load name=lan0 in=a out=b flags=net_hdr reader_protocol=1 writer_protocol=1")
	run("/bbin/muennet_cfg add_child lan0 child0")
	run("/bbin/muennet_cfg add_mark child0 7")
	run("/bbin/bb muennet_cfg add_mark child0 8")
	run("/bbin/muennet_cfg del_mark child0 7")
	if out := run("/bbin/muennet show lan0"); !strings.Contains(out, "child0") {
		t.Errorf("show says:\n%s", out)
	}
	list := strings.Join(g.do(agent.Task{Do: "interfaces"}).Text, "\n")
	for _, name := range []string{"net0 ", "lan0 ", "child0 "} {
		if !strings.Contains(list, name) {
			t.Errorf("no %s among the interfaces:\n%s", name, list)
		}
	}
	run("/bbin/muennet_cfg del_child child0")
	run("/bbin/muennet unload lan0") // the last one of this muennet, which ends
	run("/bbin/muennet unload --if-loaded")
	g.powerOff()
}
