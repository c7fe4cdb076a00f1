package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/muennet/muennet/api"
)

// marks prints how the marks of a device are carried; nothing if its mode has
// none.
func (r *report) marks(prefix string, m *api.Marking) {
	if m == nil {
		return
	}
	r.line(prefix+"marking.outgoing", m.Outgoing)
	r.line(prefix+"marking.incoming", m.Incoming)
	r.line(prefix+"marking.queues", m.Queues)
	r.line(prefix+"marking.overflows", m.Overflows)
	r.line(prefix+"marking.mismatches", m.Mismatches)
	r.line(prefix+"marking.unmarked", m.Unmarked)
}

// child prints a child among the lines of its parent. Its name is in each line,
// for grep.
func (r *report) child(c api.Child) {
	key := "child." + c.Name + "."
	r.childState(key, c)
	r.line(key+"mtu", c.MTU)
	r.line(key+"stats.rx_packets", c.Stats.RxPackets)
	r.line(key+"stats.rx_bytes", c.Stats.RxBytes)
	r.line(key+"stats.tx_packets", c.Stats.TxPackets)
	r.line(key+"stats.tx_bytes", c.Stats.TxBytes)
	r.childDrops(key, c)
}

// childState prints the state of a child; each key begins with prefix.
func (r *report) childState(prefix string, c api.Child) {
	marks := make([]string, len(c.Marks))
	for i, mark := range c.Marks {
		marks[i] = fmt.Sprint(mark)
	}
	r.line(prefix+"marks", orNone(strings.Join(marks, " ")))
	r.line(prefix+"ifindex", c.Index)
	r.line(prefix+"netns", netNS(c.NetNS))
	r.line(prefix+"up", yesNo(c.Up))
	r.line(prefix+"adopted", yesNo(c.Adopted))
	r.line(prefix+"offload", c.Offload)
	r.line(prefix+"offload.merged", c.Merged)
	r.marks(prefix, c.Marking)
}

// childDrops prints the drops of a child.
func (r *report) childDrops(prefix string, c api.Child) {
	r.line(prefix+"stats.rx_dropped", c.Stats.RxDropped)
	r.line(prefix+"stats.rx_oversize", c.Oversize)
	r.line(prefix+"stats.tx_dropped", c.Stats.TxDropped)
	for _, reason := range sortedKeys(c.Drops) {
		r.line(prefix+"drops."+reason, c.Drops[reason])
	}
}

// printChild prints a child as printStatus prints an interface, with the
// channels of its parent.
func printChild(w io.Writer, parent api.Interface, c api.Child) error {
	module := report{w: w}
	parent.MTU, parent.Stats = c.MTU, c.Stats
	module.module(c.Name, parent)
	module.text("")
	ours := report{w: w, width: 24, err: module.err}
	ours.line("parent", parent.Name)
	ours.childState("", c)
	ours.childDrops("", c)
	return ours.err
}
