package agent

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet/solo5"
)

// unikernels are those that run, with what it takes to end them.
var unikernels struct {
	sync.Mutex
	running []running
}

type running struct {
	*solo5.Peer
	end []func()
}

// unikernel starts a simulated unikernel with the address To, at the other end
// of the channels X|in and X|out in the directory Channels, where X is
// Interface.
func unikernel(t Task) (r Result, err error) {
	addr, err := netip.ParseAddr(t.To)
	if err != nil {
		return r, err
	}
	in, err := region.Open(t.Channels, t.Interface+"|in", region.ReadOnly)
	if err != nil {
		return r, err
	}
	out, err := region.Open(t.Channels, t.Interface+"|out", region.ReadWrite)
	if err != nil {
		in.Close()
		return r, err
	}
	u := running{end: []func(){func() { in.Close() }, func() { out.Close() }}}
	if u.Peer, err = solo5.New(solo5.Config{In: in.Bytes(), Out: out.Bytes(), Addr: addr}); err != nil {
		u.stop()
		return r, err
	}
	u.end = append([]func(){u.Run(time.Millisecond)}, u.end...)
	unikernels.Lock()
	defer unikernels.Unlock()
	unikernels.running = append(unikernels.running, u)
	return r, nil
}

func (u running) stop() {
	for _, f := range u.end {
		f()
	}
}

// endUnikernels ends all of them. That the memory of one would have been
// damaged is an error.
func endUnikernels(Task) (r Result, err error) {
	unikernels.Lock()
	defer unikernels.Unlock()
	for _, u := range unikernels.running {
		u.stop()
		if v := u.Violations(); len(v) > 0 {
			err = fmt.Errorf("the memory of a unikernel was damaged: %q", v)
		}
	}
	unikernels.running = nil
	return r, err
}
