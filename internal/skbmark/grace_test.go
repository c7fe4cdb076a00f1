package skbmark

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stat creates a /proc/net/softnet_stat with these backlogs.
func stat(t *testing.T, backlogs ...int) {
	t.Helper()
	var b strings.Builder
	for cpu, n := range backlogs {
		fmt.Fprintf(&b, "24871ec3 00000175 %s%08x %08x 00000000 00000000\n", strings.Repeat("00000000 ", 9), n, cpu)
	}
	path := filepath.Join(t.TempDir(), "softnet_stat")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	before := softnetStat
	softnetStat = path
	t.Cleanup(func() { softnetStat = before })
}

func TestBacklogs(t *testing.T) {
	stat(t, 0, 17, 0xabc)
	if got, err := backlogs(); err != nil || fmt.Sprint(got) != "[0 17 2748]" {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(softnetStat, []byte("24871ec3 00000175 00000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := backlogs(); err == nil {
		t.Errorf("%v from a kernel without backlog lengths", got)
	}
	if err := os.Remove(softnetStat); err != nil {
		t.Fatal(err)
	}
	if got, err := backlogs(); err == nil {
		t.Errorf("%v without a file", got)
	}
}

func TestReceived(t *testing.T) {
	if err := Received(); err != nil { // on the real kernel
		t.Error(err)
	}
	stat(t, 0, 3)
	if err := Received(); err == nil {
		t.Error("no error although one processor's backlog is never empty")
	}
}
