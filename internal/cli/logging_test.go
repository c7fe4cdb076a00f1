package cli

import (
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := (&app{logFormat: "text", logLevel: "debug"}).backgroundHandler(path)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(h).With("a", 1).WithGroup("g")
	log.Debug("debugged", "level", "kept")
	log.Info("informed")
	log.Warn("warned")
	log.Error("erred", "error", "x\ny")
	// Facility daemon is 3<<3; what follows are the levels of syslog(3).
	for _, want := range []string{
		`^<31>.* muennet\[\d+\]: msg=debugged a=1 g\.level=kept\n$`,
		`^<30>.* muennet\[\d+\]: msg=informed a=1\n$`,
		`^<28>.* muennet\[\d+\]: msg=warned a=1\n$`,
		`^<27>.* muennet\[\d+\]: msg=erred a=1 g\.error="x\\ny"\n$`,
	} {
		var b [512]byte
		n, err := l.Read(b[:])
		if err != nil || !regexp.MustCompile(want).Match(b[:n]) {
			t.Errorf("got %q, %v, want %s", b[:n], err, want)
		}
	}
}

func TestLevels(t *testing.T) {
	var b strings.Builder
	h, err := (&app{logFormat: "json", logLevel: "warn"}).handler(&b, slog.HandlerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	slog.New(h).Info("quiet")
	slog.New(h).Warn("loud")
	if !strings.Contains(b.String(), `"msg":"loud"`) || strings.Contains(b.String(), "quiet") {
		t.Errorf("logged %s", b.String())
	}
}

// A line that had to wait tells when it was logged.
func TestSyslogLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := (&app{logFormat: "text", logLevel: "info"}).backgroundHandler(path)
	if err != nil {
		t.Fatal(err)
	}
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), slog.LevelInfo, "informed", 0)
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var b [512]byte
	n, err := l.Read(b[:])
	if want := "]: time=2026-01-02T03:04:05.000Z msg=informed\n"; err != nil || !strings.HasSuffix(string(b[:n]), want) {
		t.Errorf("got %q, %v, want ...%q", b[:n], err, want)
	}
}

// A daemon that fails ends although its output is not read.
func TestRunEndsUnread(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	if code := Run(t.Context(), []string{"muennet", "--control", "/dev/null/x", "run"}, io.Discard, w); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
}

// TestLogFile: without a syslog the log is a file, which also gets what a
// crash prints.
func TestLogFile(t *testing.T) {
	if dir := os.Getenv("MUENNET_TEST_LOG"); dir != "" {
		h, err := (&app{control: filepath.Join(dir, "c.sock"), logFormat: "text", logLevel: "info"}).backgroundHandler(filepath.Join(dir, "none"))
		if err != nil {
			t.Fatal(err)
		}
		slog.New(h).Info("logged")
		os.Stderr.WriteString("crashed\n")
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLogFile$")
	cmd.Env = append(os.Environ(), "MUENNET_TEST_LOG="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "muennet.log"))
	if err != nil || !strings.Contains(string(b), "msg=logged") || !strings.Contains(string(b), "\ncrashed\n") {
		t.Errorf("log holds %q, %v", b, err)
	}
}
