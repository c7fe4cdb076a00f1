package cli

import (
	"fmt"
	"strings"

	"github.com/muennet/muennet/api"
)

// marks prints how the marks of one device are carried; nothing where its mode
// has none.
func (r *report) marks(prefix string, m *api.Marking) {
	if m == nil {
		return
	}
	r.line(prefix+"marks.outgoing", m.Outgoing)
	r.line(prefix+"marks.incoming", m.Incoming)
	r.line(prefix+"marks.queues", m.Queues)
	r.line(prefix+"marks.overflows", m.Overflows)
	r.line(prefix+"marks.mismatches", m.Mismatches)
	r.line(prefix+"marks.unmarked", m.Unmarked)
}

// child prints a child. Each line begins with its name, so that grep finds it.
func (r *report) child(c api.Child) {
	key := "child." + c.Name + "."
	held := make([]string, len(c.Held))
	for i, mark := range c.Held {
		held[i] = fmt.Sprint(mark)
	}
	r.line(key+"held", orNone(strings.Join(held, " ")))
	r.line(key+"ifindex", c.Index)
	r.line(key+"netns", netNS(c.NetNS))
	r.line(key+"mtu", c.MTU)
	r.line(key+"up", yesNo(c.Up))
	r.line(key+"adopted", yesNo(c.Adopted))
	r.line(key+"offload", c.Offload)
	r.line(key+"offload.merged", c.Merged)
	r.marks(key, c.Marks)
	r.line(key+"stats.rx_packets", c.Stats.RxPackets)
	r.line(key+"stats.rx_bytes", c.Stats.RxBytes)
	r.line(key+"stats.rx_dropped", c.Stats.RxDropped)
	r.line(key+"stats.rx_oversize", c.Oversize)
	r.line(key+"stats.tx_packets", c.Stats.TxPackets)
	r.line(key+"stats.tx_bytes", c.Stats.TxBytes)
	r.line(key+"stats.tx_dropped", c.Stats.TxDropped)
	for _, reason := range sortedKeys(c.Drops) {
		r.line(key+"drops."+reason, c.Drops[reason])
	}
}
