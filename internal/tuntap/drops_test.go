package tuntap_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// received is what ip -s link shows of one direction.
type received struct {
	Packets uint64 `json:"packets"`
	Errors  uint64 `json:"errors"`
	Dropped uint64 `json:"dropped"`
}

func receivedBy(t *testing.T, ns *testnet.NS, name string) received {
	t.Helper()
	var links []struct {
		Stats64 struct {
			RX received `json:"rx"`
		} `json:"stats64"`
	}
	out := ns.MustRun("ip", "-json", "-s", "link", "show", "dev", name)
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		t.Fatalf("ip -s link: %v: %s", err, out)
	}
	return links[0].Stats64.RX
}

// Each call counts exactly one, up and down, for every kind of device, and
// nothing arrives.
func TestCountDrop(t *testing.T) {
	ns := namespace(t)
	for _, cfg := range []tuntap.Config{
		{Kind: tuntap.TUN},
		{Kind: tuntap.TUN, PacketInfo: true},
		{Kind: tuntap.TUN, VnetHdr: true, MultiQueue: true},
		{Kind: tuntap.TUN, VnetHdr: true, PacketInfo: true},
		{Kind: tuntap.TAP},
		{Kind: tuntap.TAP, VnetHdr: true},
	} {
		cfg.Name = "drop0"
		dev := open(t, ns, cfg)
		socket := ns.Packet(testnet.PacketConfig{Interface: cfg.Name})
		count := func(n uint64) {
			t.Helper()
			for range 3 {
				if err := dev.CountDrop(); err != nil {
					t.Errorf("%+v: %v", cfg, err)
				}
			}
			if got := receivedBy(t, ns, cfg.Name); got != (received{Dropped: n}) {
				t.Errorf("%+v: %+v, want %d dropped and nothing else", cfg, got, n)
			}
		}
		count(3)
		if p, err := socket.Recv(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%+v: %x arrived, %v", cfg, p, err)
		}
		if err := ns.Link().SetDown(index(t, dev)); err != nil {
			t.Fatal(err)
		}
		count(6)
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
		if err := dev.CountDrop(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestCountDropOfDeletedInterface(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "drop0"})
	if err := ns.Link().Delete(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	if err := dev.CountDrop(); !errors.Is(err, tuntap.ErrGone) {
		t.Errorf("error %v, want %v", err, tuntap.ErrGone)
	}
}
