package cli

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCfg(t *testing.T) {
	h := newHost(t)
	h.load("net0", "a", "b")
	h.must("cfg", "add_child", "net0", "child0")
	h.must("cfg", "add_mark", "child0", "0x7")
	h.must("cfg", "add_mark", "child0", "9")
	h.must("cfg", "del_mark", "child0", "7")
	h.wantLinks("child0", "net0")
	if text := h.must("show", "net0"); !strings.Contains(text, "\nchild.child0.marks:      9\n") || !strings.Contains(text, "\nmarking.outgoing: ") {
		t.Errorf("show prints\n%s", text)
	}
	if text := h.must("show", "child0"); !strings.HasPrefix(text, "name: child0\nin/out: a:b\n") || !strings.Contains(text, "\nparent:                  net0\nmarks:                   9\n") {
		t.Errorf("show of a child prints\n%s", text)
	}
	if text := h.must("show", "child0", "--json"); !strings.HasPrefix(text, "{\n  \"name\": \"child0\",\n") {
		t.Errorf("show --json of a child prints\n%s", text)
	}
	code, _, stderr := h.muennet("unload", "child0")
	if want := "muennet: child0 is a child of net0: remove it with del_child\n"; code != exitFailed || stderr != want {
		t.Errorf("unload of a child: exit %d, %q, want %q", code, stderr, want)
	}
	h.must("cfg", "del_child", "child0")
	h.wantLinks("net0")
	h.must("cfg", "add_child", "net0", "child1")
	h.must("unload", "net0") // and its children
	h.wantLinks()
}

// TestChildLeftBehind: what a crash leaves is removed with no muennet running,
// child and parent.
func TestChildLeftBehind(t *testing.T) {
	h := newHost(t)
	h.load("net0", "a", "b")
	h.must("cfg", "add_child", "net0", "child0")
	h.must("cfg", "add_mark", "child0", "7")
	h.crash()
	h.wantLinks("child0", "net0")
	if got := h.must("unload"); got != "removed net0\nremoved child0\n" {
		t.Errorf("unload prints %q", got)
	}
	h.wantLinks()
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestNoBPF: load hands the flag to the process that it starts, and run has it.
func TestNoBPF(t *testing.T) {
	h := newHost(t)
	h.must(append([]string{"load", "--no-bpf"}, pair("net0", "a", "b")...)...)
	if text := h.must("show"); !strings.Contains(text, "\nmarking.outgoing:        eBPF is switched off\nmarking.incoming:        eBPF is switched off\n") {
		t.Errorf("show prints\n%s", text)
	}
}

// TestLoadOptions: the text that modprobe makes of its arguments.
func TestLoadOptions(t *testing.T) {
	h := newHost(t)
	h.must("load", "--options", `poll=5 name="net0" in=a reader_protocol=12 poll=7 `)
	if text := h.must("show"); !strings.HasPrefix(text, "name: net0\nin/out: a:\n") || !strings.Contains(text, "\npoll: every 7 µs\n") {
		t.Errorf("show prints\n%s", text)
	}
}

// crash kills the background daemon and waits for its end.
func (h *host) crash() {
	h.t.Helper()
	fd, err := unix.PidfdOpen(h.pid(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		h.t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
		h.t.Fatal(err)
	}
}
