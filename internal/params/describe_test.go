package params

import (
	"net"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
)

// TestDescribe: a field is described by the parameter that sets it to that
// value.
func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		field string
		value any
		want  string
	}{
		{"Name", "net0", "name=net0"},
		{"In", "", "in=(none)"},
		{"ReaderProtocol", uint64(0x12), "reader_protocol=12"},
		{"MTU", 1400, "mtu=1400"},
		{"Format", element.EthDev, "flags=eth_dev"},
		{"PMTU", "p", "pmtu=p"},
		{"HardwareAddr", net.HardwareAddr(nil), "mac=(derived)"},
		{"HardwareAddr", net.HardwareAddr{2, 0, 0, 0, 0, 1}, "mac=02:00:00:00:00:01"},
		{"Carrier", config.CarrierPeer, "carrier=peer"},
		{"NoOffload", true, "offload=off"},
		{"NoOffload", false, "offload=on"},
		{"Force", true, "force=1"},
		{"Force", false, "force=0"},
		{"Poll", 2 * time.Millisecond, "poll=2"},
		{"Poll", config.ShortestPoll, "poll=0"},
		{"BusyPoll", 7 * time.Microsecond, "busy_poll=7"},
		{"Renew", 3 * time.Second, "renew=3"},
		{"Renew", time.Duration(0), "renew=0"},
		{"Other", 5, "Other=5"},
	} {
		if name, text := Describe(tc.field, tc.value); name+"="+text != tc.want {
			t.Errorf("%s=%s, want %s", name, text, tc.want)
		}
	}
}
