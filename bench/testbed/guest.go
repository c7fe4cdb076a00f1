package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// pin gives the namespace of b a file name for other programs, until Close. The
// name in /proc is of no use to pasta, which drops the privilege to open it.
func (b *Bed) pin() (path string, err error) {
	path = filepath.Join(b.cfg.Dir, "b.netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return "", err
	}
	if err := unix.Mount(b.B.Path(), path, "", unix.MS_BIND, ""); err != nil {
		return "", fmt.Errorf("mount namespace: %w", err)
	}
	b.pinned = path
	return path, nil
}

// slirp makes b the guest of a: a reaches b through forwarded ports of its own,
// b reaches a at the address that stands for a's loopback.
func slirp(ctx context.Context, b *Bed) error {
	socket := filepath.Join(b.cfg.Dir, "slirp.sock")
	_ = os.Remove(socket) // of a previous run
	ns, err := b.pin()
	if err != nil {
		return err
	}
	err = b.start(b.A, "slirp4netns", "slirp4netns", "--configure", "--mtu=1500",
		"--netns-type=path", "--api-socket="+socket, ns, device)
	if err != nil {
		return err
	}
	b.A.Addr, b.B.Addr = netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("127.0.0.1")
	err = until(ctx, func() error {
		_, err := b.B.Link().ByName(device)
		if err == nil {
			_, err = os.Stat(socket)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, proto := range []string{"tcp", "udp"} {
		for _, port := range ports {
			request := map[string]any{"execute": "add_hostfwd", "arguments": map[string]any{
				"proto": proto, "host_addr": "127.0.0.1", "host_port": port,
				"guest_addr": "10.0.2.100", "guest_port": port}}
			if err := until(ctx, func() error { return slirpAsk(socket, request) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// slirpAsk makes one request. A refusal is an error.
func slirpAsk(socket string, request any) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		return err
	}
	if bytes.Contains(answer.Bytes(), []byte(`"error"`)) {
		return fmt.Errorf("slirp4netns: %s", &answer)
	}
	return nil
}

// pasta makes b the guest of a. It copies a's address and default route, so a
// needs both; b reaches a at the address of the gateway. Connections to a's
// address, unlike those to its loopback, go through the guest's tap.
func pasta(ctx context.Context, b *Bed) error {
	const uplink = "uplink0"
	own, gateway := netip.MustParseAddr("10.79.0.2"), netip.MustParseAddr("10.79.0.1")
	if err := b.A.AddVeth(uplink, b.A.Namespace, uplink+"-peer", 0); err != nil {
		return err
	}
	if err := b.A.Up(uplink + "-peer"); err != nil {
		return err
	}
	if err := b.A.up(uplink, own.String()); err != nil {
		return err
	}
	s, err := b.A.Link().ByName(uplink)
	if err != nil {
		return err
	}
	if err := b.A.Link().AddRoute(s.Index, netip.MustParsePrefix("0.0.0.0/0"), gateway); err != nil {
		return err
	}
	ns, err := b.pin()
	if err != nil {
		return err
	}
	list := fmt.Sprintf("%d,%d", ports[0], ports[1])
	err = b.start(b.A, "pasta", "pasta", "--foreground", "--quiet", "--stderr", "--ipv4-only", "--config-net",
		"--mtu", "1500", "--ns-ifname", device, "-t", list, "-u", list, "-T", "none", "-U", "none",
		"--runas", "0:0", "--netns-only", "--netns", ns)
	if err != nil {
		return err
	}
	b.A.Addr, b.B.Addr = gateway, own
	return until(ctx, func() error {
		s, err := b.B.Link().ByName(device)
		if err != nil {
			return err
		}
		if !s.Up {
			return fmt.Errorf("%s is down", device)
		}
		return nil
	})
}
