package testnet

import (
	"os"
	"os/exec"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"golang.org/x/sys/unix"
)

// Privileged skips the test unless it runs as root. As root the test fails if a
// privilege or device is missing: a run as root must not pass without the tests
// that need root.
func Privileged(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and TUN devices")
	}
	if err := unix.Access("/dev/net/tun", unix.R_OK|unix.W_OK); err != nil {
		t.Fatalf("running as root, but /dev/net/tun cannot be used: %v (modprobe tun, or start the container with --device /dev/net/tun)", err)
	}
	fd, err := link.NewNetNS()
	if err != nil {
		t.Fatalf("running as root, but without CAP_SYS_ADMIN: %v", err)
	}
	unix.Close(fd)
}

// debianPackage names the package of a tool whose name differs from it.
var debianPackage = map[string]string{
	"ip":        "iproute2",
	"tc":        "iproute2",
	"ss":        "iproute2",
	"ping":      "iputils-ping",
	"ifconfig":  "net-tools",
	"nft":       "nftables",
	"iptables":  "iptables",
	"ip6tables": "iptables",
	"modprobe":  "kmod",
	"nsenter":   "util-linux",
	"unshare":   "util-linux",
	"nc":        "netcat-openbsd",
	"gcc":       "gcc",
	"cc":        "gcc",
}

// Need returns the path of a tool that a test runs. If it is missing, the test
// fails as root, naming the Debian package to install, and is skipped
// otherwise.
func Need(t testing.TB, tool string) (path string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	pkg := debianPackage[tool]
	if pkg == "" {
		pkg = tool
	}
	if os.Geteuid() != 0 {
		t.Skipf("needs %s: apt-get install %s", tool, pkg)
	}
	t.Fatalf("%s not found: apt-get install %s", tool, pkg)
	return ""
}
