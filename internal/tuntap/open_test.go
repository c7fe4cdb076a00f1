package tuntap_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
	"golang.org/x/sys/unix"
)

func wantError(t *testing.T, dev *tuntap.Device, err, want error, texts ...string) {
	t.Helper()
	if err == nil {
		dev.Close()
		t.Fatal("opened")
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestPatternTakesFirstFreeNumber(t *testing.T) {
	ns := namespace(t)
	for _, want := range []string{"net0", "net1", "net2"} {
		if got := name(t, open(t, ns, tuntap.Config{Name: "net%d", Attach: true})); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	}
}

func TestLongestName(t *testing.T) {
	ns := namespace(t)
	want := strings.Repeat("n", 15)
	if got := name(t, open(t, ns, tuntap.Config{Name: want})); got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  tuntap.Config
		want string
	}{
		{tuntap.Config{}, "is empty"},
		{tuntap.Config{Name: strings.Repeat("n", 16)}, "16 bytes: want at most 15"},
		{tuntap.Config{Name: "a/b"}, "no '/'"},
		{tuntap.Config{Name: "a b"}, "white space"},
		{tuntap.Config{Name: "a:b"}, "':'"},
		{tuntap.Config{Name: ".."}, "refuses . and .."},
		{tuntap.Config{Name: "a\x00b"}, "control characters"},
		{tuntap.Config{Name: "n%d%d"}, "one %d"},
		{tuntap.Config{Name: "n%s"}, "one %d"},
		{tuntap.Config{Name: "all"}, "reserves the names"},
		{tuntap.Config{Name: "n", Kind: 7}, "neither TUN nor TAP"},
	} {
		dev, err := tuntap.Open(c.cfg)
		wantError(t, dev, err, nil, c.want, "open ")
	}
}

func TestTakenNames(t *testing.T) {
	ns := namespace(t)
	open(t, ns, tuntap.Config{Name: "used"})
	ns.MustRun("ip", "tuntap", "add", "tap", "mode", "tap")
	for _, c := range []struct {
		cfg  tuntap.Config
		want string
	}{
		{tuntap.Config{Name: "lo"}, "open TUN device \"lo\": "},
		{tuntap.Config{Name: "used"}, "open TUN device \"used\": "},
		{tuntap.Config{Name: "tap", Kind: tuntap.TAP}, "open TAP device \"tap\": "},
		{tuntap.Config{Name: "lo", Attach: true}, "not a TUN device of the same kind"},
		{tuntap.Config{Name: "used", Attach: true}, "another process uses"},
		{tuntap.Config{Name: "tap", Attach: true}, "not a TUN device of the same kind"},
	} {
		dev, err := tryOpen(ns, c.cfg)
		wantError(t, dev, err, tuntap.ErrNameTaken, c.want)
	}
}

func TestAttachToNothingMakesADevice(t *testing.T) {
	ns := namespace(t)
	if open(t, ns, tuntap.Config{Name: "net0", Attach: true}).Attached() {
		t.Error("attached to what was not there")
	}
}

func TestMissingDeviceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tun")
	dev, err := tuntap.OpenAt(path, tuntap.Config{Name: "net0"})
	wantError(t, dev, err, tuntap.ErrNoDevice, path, "modprobe tun", "--device")
}

func TestNotADevice(t *testing.T) {
	dev, err := tuntap.OpenAt(os.DevNull, tuntap.Config{Name: "net0"})
	wantError(t, dev, err, unix.ENOTTY, "make interface")
}

// onThread runs f on a thread that ends afterwards, so that f may give up its
// privileges.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		f()
	}()
	<-done
}

func TestUnreadableDeviceFile(t *testing.T) {
	namespace(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var dev *tuntap.Device
	var err error
	onThread(func() {
		// The raw call changes this thread only.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			err = errno
			return
		}
		dev, err = tuntap.OpenAt(filepath.Join(dir, "tun"), tuntap.Config{Name: "net0"})
	})
	wantError(t, dev, err, tuntap.ErrPermission, "run as root")
}

func TestWithoutCapability(t *testing.T) {
	ns := namespace(t)
	ns.MustRun("ip", "tuntap", "add", "left", "mode", "tun", "user", "65534")
	for _, c := range []struct {
		cfg  tuntap.Config
		want string
	}{
		{tuntap.Config{Name: "net0"}, "making an interface needs root or CAP_NET_ADMIN"},
		{tuntap.Config{Name: "left", Attach: true}, "attaching to an interface needs root or CAP_NET_ADMIN"},
	} {
		var dev *tuntap.Device
		var err error
		onThread(func() {
			if err = unix.Setns(ns.FD(), unix.CLONE_NEWNET); err != nil {
				return
			}
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var sets [2]unix.CapUserData
			if err = unix.Capget(&header, &sets[0]); err != nil {
				return
			}
			sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
			if err = unix.Capset(&header, &sets[0]); err != nil {
				return
			}
			dev, err = tuntap.Open(c.cfg)
		})
		wantError(t, dev, err, tuntap.ErrPermission, c.want)
	}
}

// A failed Open leaves nothing: neither a descriptor, which namespace checks,
// nor an interface.
func TestFailedOpenLeavesNothing(t *testing.T) {
	ns := namespace(t)
	open(t, ns, tuntap.Config{Name: "used"})
	for range 10 {
		if _, err := tryOpen(ns, tuntap.Config{Name: "used", Attach: true}); err == nil {
			t.Fatal("opened")
		}
	}
	var all []link.State
	all, err := ns.Link().List()
	if err != nil || len(all) != 2 {
		t.Errorf("%d interfaces, error %v; want lo and used", len(all), err)
	}
}
