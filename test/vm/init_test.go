package vm

import (
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// TestInitGoesOn boots with nearly everything wrong: what is wrong is told, and
// the rest works.
func TestInitGoesOn(t *testing.T) {
	testnet.CheckLeaks(t)
	for _, c := range []struct {
		name  string
		words []string
		want  string // on the console
	}{
		{"no interfaces", nil, ""},
		{"no such channel", []string{"muennet.name=net0", "muennet.in=missing", "muennet.reader_protocol=1"}, `/dev/shm/muennet.*muennet channel create missing`},
		{"no such parameter", []string{"muennet.name=net0", "muennet.colour=red"}, `parameter \\"colour\\": unknown`},
		{"no channels for auto", []string{"muennet.auto"}, `/dev/shm/muennet`},
		{"no such interface", []string{"address=net7=10.0.0.1/24"}, `add address 10.0.0.1/24 to net7`},
		{"no address", []string{"address=lo=10.0.0.300/8,lo=10.9.8.7/8"}, `address \\"lo=10.0.0.300/8\\": want NAME=ADDRESS/BITS`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := boot(t, guestConfig{name: "guest", words: c.words})
			if c.want != "" {
				g.printed("level=ERROR .*" + c.want)
			}
			// Its echo service and its program run all the same.
			g.do(agent.Task{Do: "ping", To: "127.0.0.1"})
			g.do(agent.Task{Do: "datagrams", To: "127.0.0.1"})
			if c.name == "no address" {
				if list := strings.Join(g.do(agent.Task{Do: "interfaces"}).Text, "\n"); !strings.Contains(list, "10.9.8.7/8") {
					t.Errorf("the other address is missing:\n%s", list)
				}
			}
			g.powerOff()
		})
	}
}
