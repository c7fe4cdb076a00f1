package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// muennet is one set of parameters.
type muennet struct {
	flags      string
	mtu        int
	offload    string
	noBusyPoll bool
}

func (m muennet) name() string {
	name := fmt.Sprintf("%s-%d", m.flags, m.mtu)
	if m.offload == "off" {
		name += "-nooffload"
	}
	if m.noBusyPoll {
		name += "-nobusy"
	}
	return name
}

func (m muennet) note() string {
	return fmt.Sprintf("muennet run on each side, %s, channels of %d MiB", strings.Join(m.speed(), " "), m.channel()>>20)
}

// speed is the parameters that matter for it.
func (m muennet) speed() []string {
	params := []string{"mtu=" + strconv.Itoa(m.mtu), "offload=" + m.offload}
	if m.noBusyPoll {
		params = append(params, "busy_poll=0")
	}
	return params
}

// channel is the size of a channel in bytes: what the kernel module's users
// give it for packets of 1500 bytes, and as many elements of larger ones as
// there are reasons to have.
func (m muennet) channel() int64 {
	if m.mtu > 1500 {
		return 8 << 20
	}
	return 1 << 20
}

func (m muennet) build(ctx context.Context, b *Bed) error {
	for _, name := range []string{"a-to-b", "b-to-a"} {
		if err := MakeChannel(b.cfg.Dir, name, m.channel()); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		host          *Host
		name, in, out string
	}{{b.A, "a", "b-to-a", "a-to-b"}, {b.B, "b", "a-to-b", "b-to-a"}} {
		params := []string{"name=" + device, "in=" + side.in, "out=" + side.out, "flags=" + m.flags, "reader_protocol=2", "writer_protocol=2"}
		err := b.daemon(side.host, "muennet-"+side.name, append(params, m.speed()...)...)
		if err != nil {
			return err
		}
	}
	if err := b.bothUp(); err != nil {
		return err
	}
	// The kernel drops what is sent before it has noticed the carrier.
	return b.until(ctx, func() error {
		for _, h := range []*Host{b.A, b.B} {
			if err := h.hasCarrier(device); err != nil {
				return err
			}
		}
		return nil
	})
}

// MakeChannel makes an empty channel in the directory.
func MakeChannel(dir, name string, size int64) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	// What a previous system left must not be found by the next one.
	if err := os.Truncate(path, 0); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// daemon starts a muennet on the host and returns when it is ready.
func (b *Bed) daemon(h *Host, name string, params ...string) error {
	files := filepath.Join(b.cfg.Dir, name)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: files + ".notify"})
	if err != nil {
		return err
	}
	defer os.Remove(files + ".notify")
	defer notify.Close()
	p, err := b.start(h, name, []string{"NOTIFY_SOCKET=" + files + ".notify"}, b.cfg.Muennet,
		append([]string{"run", "--control", files + ".sock", "--channels", b.cfg.Dir, "--log-level", "warn"}, params...)...)
	if err != nil {
		return err
	}
	go func() {
		<-p.ended
		notify.Close()
	}()
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf := make([]byte, 64)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			return fmt.Errorf("%s is not ready: %w", name, err)
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return nil
		}
	}
}
