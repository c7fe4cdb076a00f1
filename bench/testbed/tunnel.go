package testbed

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The network that carries the tunnels.
const (
	underDevice = "under0"
	underMTU    = 1600 // 1500 bytes, and the largest overhead of a tunnel
	underA      = "10.78.0.1"
	underB      = "10.78.0.2"
	tunnelPort  = "5000"
)

// underlay joins the hosts by the network that carries the tunnels.
func (b *Bed) underlay() error {
	if err := b.A.AddVeth(underDevice, b.B.Namespace, underDevice, underMTU); err != nil {
		return err
	}
	if err := b.A.up(underDevice, underA); err != nil {
		return err
	}
	return b.B.up(underDevice, underB)
}

// end is one side of a tunnel.
type end struct {
	host        *Host
	name        string
	under, peer string // addresses in the underlay
}

func (b *Bed) ends() []end {
	return []end{{b.A, "a", underA, underB}, {b.B, "b", underB, underA}}
}

// devices waits until both sides have their device and brings them up.
func (b *Bed) devices(ctx context.Context) error {
	err := until(ctx, func() error {
		_, errA := b.A.Link().ByName(device)
		_, errB := b.B.Link().ByName(device)
		return errors.Join(errA, errB)
	})
	if err != nil {
		return err
	}
	return b.bothUp()
}

func vde(ctx context.Context, b *Bed) error {
	dir := filepath.Join(b.cfg.Dir, "vde")
	// A socket that an earlier one left looks like a ready switch.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := b.start(b.A, "vde_switch", "vde_switch", "-s", dir); err != nil {
		return err
	}
	err := until(ctx, func() error {
		_, err := os.Stat(filepath.Join(dir, "ctl"))
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range b.ends() {
		if err := b.start(e.host, "vde_plug2tap-"+e.name, "vde_plug2tap", "-s", dir, device); err != nil {
			return err
		}
	}
	return b.devices(ctx)
}

func socat(ctx context.Context, b *Bed) error {
	if err := b.underlay(); err != nil {
		return err
	}
	for _, e := range b.ends() {
		// The buffer is larger than a packet, so that one read is one
		// packet.
		err := b.start(e.host, "socat-"+e.name, "socat", "-b", "65536",
			fmt.Sprintf("UDP4:%s:%s,bind=%s:%s", e.peer, tunnelPort, e.under, tunnelPort),
			"TUN,tun-name="+device+",iff-no-pi")
		if err != nil {
			return err
		}
	}
	return b.devices(ctx)
}

func wireguard(ctx context.Context, b *Bed) error {
	if err := b.underlay(); err != nil {
		return err
	}
	ends := b.ends()
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return err
		}
	}
	for i, e := range ends {
		// Its socket has the name of the interface, in one directory
		// for all namespaces.
		name := fmt.Sprintf("wg%d%s", os.Getpid(), e.name)
		if err := b.start(e.host, "wireguard-go-"+e.name, "wireguard-go", "-f", name); err != nil {
			return err
		}
		key := filepath.Join(b.cfg.Dir, name+".key")
		if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(keys[i].Bytes())), 0o600); err != nil {
			return err
		}
		defer os.Remove(key)
		err := until(ctx, func() error {
			return e.host.run("wg", "set", name, "private-key", key, "listen-port", tunnelPort,
				"peer", base64.StdEncoding.EncodeToString(keys[1-i].PublicKey().Bytes()),
				"endpoint", e.peer+":"+tunnelPort, "allowed-ips", "0.0.0.0/0")
		})
		if err != nil {
			return err
		}
		s, err := e.host.Link().ByName(name)
		if err != nil {
			return err
		}
		if err := e.host.Link().SetMTU(s.Index, 1500); err != nil {
			return err
		}
		if err := e.host.up(name, e.host.Addr.String()); err != nil {
			return err
		}
	}
	return nil
}
