package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// flap has the peer come and go, each second time with another protocol, until
// its reader has seen that often enough.
func (p *foreign) flap(h *host, name string, epochs uint64) {
	p.t.Helper()
	for first := h.show(name).Reader.Epochs; h.show(name).Reader.Epochs < first+epochs; {
		for i := range uint64(100) {
			p.start()
			if i%2 == 1 {
				p.store(shmstream.ProtocolOffset, foreignProtocol+1)
				p.store(shmstream.EpochOffset, i)
			}
			p.ring()
			time.Sleep(100 * time.Microsecond) // or it would seldom be seen
			p.w.Stop()
			p.ring()
			time.Sleep(100 * time.Microsecond)
		}
	}
}

// A pipe without a reader, full from the beginning, is the log.
func TestLogPipeStalls(t *testing.T) {
	begin(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	// The daemon gets a pipe as it finds one usually: writing waits.
	if err := unix.SetNonblock(int(w.Fd()), false); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, makeChannels(t, "bad", "good", "other", "out"))
	h.Quiet()
	h.stderr = w
	h.start(stalledInterfaces...)
	goesOn(t, h)
	hung := time.AfterFunc(patience, func() { _ = h.daemon.Process.Kill() })
	defer hung.Stop()
	h.stop() // fails unless it ends on its own
}

// The socket of the system log has no reader.
func TestSyslogStalls(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "bad", "good", "other", "out"))
	h.Quiet()
	h.Sysctl("net.unix.max_dgram_qlen", "1")
	path := filepath.Join(t.TempDir(), "log")
	var log *net.UnixConn
	h.Do(func() {
		var err error
		if log, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
			t.Fatal(err)
		}
	})
	defer log.Close()
	// In a mount namespace where that is /dev/log.
	c := h.command(append([]string{"load"}, stalledInterfaces...)...)
	script := `mount -t tmpfs none /dev && mkdir /dev/net && mknod /dev/net/tun c 10 200 && mknod /dev/null c 1 3 && ln -s ` + path + ` /dev/log && exec "$0" "$@"`
	if r := h.run(h.Command(testnet.Need(t, "unshare"), append([]string{"--mount", "sh", "-c", script}, c.Args...)...)); r.code != 0 {
		t.Fatalf("load: exit code %d, %s", r.code, r.stderr)
	}
	goesOn(t, h)
	h.answers("unload")
	testnet.Eventually(t, "muennet has ended", func() bool { return h.pid() == 0 })
	// It was that log, and it was full.
	if err := log.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := make([]byte, 4096); ; lines++ {
		n, err := log.Read(line)
		if err != nil {
			break
		}
		if !strings.Contains(string(line[:n]), " muennet[") {
			t.Errorf("logged %q", line[:n])
		}
	}
	if lines < 1 || lines > 3 {
		t.Errorf("the log holds %d lines", lines)
	}
}

// stalledInterfaces are net0, whose peer is hostile, and net1, whose is not.
var stalledInterfaces = []string{"name=net0,net1", "in=bad,good", "out=,out", "flags=net_hdr,net_hdr", "reader_protocol=12,12", "writer_protocol=,12"}

// goesOn expects everything to work although the log stalls: packets, show,
// load and unload.
func goesOn(t *testing.T, h *host) {
	t.Helper()
	for _, name := range []string{"net0", "net1"} {
		h.ip("link set " + name + " up")
		h.awaitShow(name, "it is up", func(s api.Interface) bool { return s.Up })
	}
	bad, neighbour := newForeign(t, h.channels, "bad", element.NetHdr), newForeign(t, h.channels, "good", element.NetHdr)
	neighbour.start()
	traffic, asked := startCounted(neighbour, h.Packet(testnet.PacketConfig{Interface: "net1"})), startAsking(h)
	bad.flap(h, "net0", 100)
	h.answers("show")
	h.answers("load", "name=net2", "in=other", "reader_protocol=12", "flags=net_hdr")
	h.answers("unload", "net2")
	h.answers("unload", "net0")
	asked.stop(t)
	traffic.stop(t)
}

// answers runs a command that has to succeed, and ends it when it hangs.
func (h *host) answers(args ...string) {
	h.t.Helper()
	limit := strconv.Itoa(int(patience.Seconds()))
	if r := h.run(h.Command(testnet.Need(h.t, "timeout"), append([]string{limit}, h.command(args...).Args...)...)); r.code != 0 {
		h.t.Fatalf("muennet %s: exit code %d (124: it hangs), %s", strings.Join(args, " "), r.code, r.stderr)
	}
}

// A peer that comes and goes as fast as it can neither fills the log nor keeps
// the kernel busy with the carrier, which is right in the end.
func TestHostilePeerFlaps(t *testing.T) {
	begin(t)
	first := time.Now()
	h := newSolo(t, "net_hdr", "carrier=peer")
	p := newForeign(t, h.channels, "in", element.NetHdr)
	for n := range 4 {
		p.flap(h, "net0", 200)
		active := n%2 == 0
		if active {
			p.start()
		}
		testnet.Eventually(t, "the last state of the carrier", func() bool { return h.State("net0").Carrier == active })
	}
	changes, err := strconv.Atoi(strings.TrimSpace(h.MustRun(testnet.Need(t, "unshare"), "--mount", "sh", "-c",
		"mount -t sysfs none /sys && cat /sys/class/net/net0/carrier_changes")))
	if err != nil {
		t.Fatal(err)
	}
	elapsed := time.Since(first)
	if most := 20 + int(4*elapsed.Seconds()); changes > most {
		t.Errorf("the carrier has changed %d times in %v, want %d at most", changes, elapsed, most)
	}
	lines := 0
	for _, line := range strings.Split(h.log.String(), "\n") {
		if strings.Contains(line, " interface=net0 ") {
			lines++
		}
	}
	if most := 30 + int(elapsed.Seconds()); lines > most {
		t.Errorf("%d lines in %v, want %d at most:\n%s", lines, elapsed, most, h.log)
	}
}
