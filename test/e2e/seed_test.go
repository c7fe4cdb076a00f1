package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// shell runs a command line as an administrator types it: muennet is found in
// the path and finds the host's socket and channels in its environment.
func (h *host) shell(line string) result {
	h.t.Helper()
	c := h.Command(testnet.Need(h.t, "sh"), "-c", line)
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"),
		"MUENNET_CONTROL="+h.control, "MUENNET_CHANNELS="+h.channels)
	return h.run(c)
}

// typed runs a command line that has to succeed without a word of complaint.
func (h *host) typed(line string) string {
	h.t.Helper()
	r := h.shell(line)
	if r.code != 0 || r.stderr != "" {
		h.t.Fatalf("%s: exit code %d, %s", line, r.code, r.stderr)
	}
	return r.stdout
}

func TestCommandsOfTheModule(t *testing.T) {
	begin(t)
	testnet.Need(t, "ifconfig")
	testnet.Need(t, "ip")
	dir := makeChannels(t, "channel_in", "channel_out")
	h, other := newHost(t, dir), newHost(t, dir)
	h.typed("muennet load name=net0 reader_protocol=2 writer_protocol=2 in=channel_in out=channel_out flags=net_hdr")
	if text := h.typed("muennet show net0"); !strings.Contains(text, "\nreader is disabled\n") {
		t.Errorf("before the peer show prints\n%s", text)
	}
	h.typed("ifconfig net0 192.168.1.1")
	// On a point-to-point interface ifconfig makes no route but to itself.
	h.typed("ip route add 192.168.1.0/24 dev net0")
	if r := h.shell("ip route add 192.168.1.0/24 dev net0"); r.code == 0 || !strings.Contains(r.stderr, "File exists") {
		t.Errorf("ip route add: exit code %d, %q; want that the route exists", r.code, r.stderr)
	}
	if routes := h.ip("route show 192.168.1.0/24"); !strings.Contains(routes, "dev net0") {
		t.Errorf("routes %q, want one through net0", routes)
	}

	other.typed("muennet load name=net0 reader_protocol=2 writer_protocol=2 in=channel_out out=channel_in flags=net_hdr")
	other.typed("ifconfig net0 192.168.1.2")
	other.typed("ip route add 192.168.1.0/24 dev net0")
	for _, h := range []*host{h, other} {
		h.awaitShow("net0", "the peer is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
	}
	newPinger(t, h, "192.168.1.1", "192.168.1.2").sweep(0, 100)
	for _, line := range []string{"in/out: channel_in:channel_out", "mtu: 1500", "flags: net_hdr", "poll: every 1 µs",
		"writer is enabled", "writer.element_size: 1508", "reader is enabled", "reader.element_size: 1508", "stats.rx_packets: "} {
		if text := h.typed("muennet show net0"); !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	h.typed("ifconfig net0 down")
	other.typed("muennet unload net0")
	h.typed("muennet unload")
	if r := h.shell("ip link show net0"); r.code == 0 {
		t.Errorf("net0 is still there: %s", r.stdout)
	}
}

// Protocol ids are hexadecimal: 12 is 0x12, not 0xc.
func TestTwoInterfacesWithHexadecimalProtocols(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "testchannel_1", "testchannel_2", "testchannel_3", "testchannel_4"))
	h.typed("muennet load name=net0,net1 in=testchannel_1,testchannel_3 out=testchannel_2,testchannel_4 " +
		"flags=net_hdr,net_hdr reader_protocol=12,2 writer_protocol=8,2")
	h.Quiet()
	h.typed("ifconfig net0 192.168.1.1")
	h.typed("ifconfig net1 192.168.2.1")
	for channel, protocol := range map[string]string{"testchannel_2": "0x8", "testchannel_4": "0x2"} {
		var text string
		testnet.Eventually(t, channel+" shows protocol "+protocol, func() bool {
			text = h.typed("muennet channel show " + channel)
			return regexp.MustCompile(`(?m)^protocol: +` + protocol + `$`).MatchString(text)
		})
		if !regexp.MustCompile(`(?m)^size: +1508 bytes$`).MatchString(text) || !regexp.MustCompile(`(?m)^state: +active$`).MatchString(text) ||
			!regexp.MustCompile(fmt.Sprintf(`(?m)^writer: +pid %d$`, h.pid())).MatchString(text) {
			t.Errorf("header of %s:\n%s", channel, text)
		}
	}

	// Each interface follows its own peer, and only one of the right protocol.
	for _, test := range []struct {
		name, in     string
		right, wrong uint64
	}{{"net0", "testchannel_1", 0x12, 0xc}, {"net1", "testchannel_3", 0x2, 0x12}} {
		p := newPeer(t, h.channels, test.in)
		p.start(test.wrong, 1508)
		h.awaitShow(test.name, "the peer is incompatible", func(s api.Interface) bool {
			return s.Reader.Peer == "incompatible" && strings.Contains(s.Reader.Reason, fmt.Sprintf("%#x, expected %#x", test.wrong, test.right))
		})
		p.start(test.right, 1508)
		h.awaitShow(test.name, "the peer is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
		socket := h.Packet(testnet.PacketConfig{Interface: test.name})
		packet := ipPacket(t, "192.168.9.1", "192.168.9.2", 60)
		p.send(element.NetHdr, packet, 0)
		if got, err := socket.Recv(patience); err != nil || string(got) != string(packet) {
			t.Errorf("%s received %x, error %v; want %x", test.name, got, err, packet)
		}
	}
	if all := h.showAll(); len(all) != 2 || all[0].Name != "net0" || all[1].Name != "net1" ||
		all[0].Reader.Protocol != "0x12" || all[0].Writer.Protocol != "0x8" || all[1].Reader.Protocol != "0x2" || all[1].Writer.Protocol != "0x2" {
		t.Errorf("show --json: %+v", all)
	}
	h.typed("muennet unload net1 net0")
}
