package solo5

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config is what a Peer is made of.
type Config struct {
	// In is what it reads and Out what it writes: mapped memory. In is not
	// written to.
	In, Out []byte
	// MAC is its Ethernet address; nil means 02:50:10:05:00:01.
	MAC net.HardwareAddr
	// Addr is its IPv4 address; without a valid one it answers nothing.
	Addr netip.Addr
}

// Stats is what a Peer has done so far.
type Stats struct {
	Received uint64 // elements
	Sent     uint64 // frames
	Epochs   uint64 // epochs of the in-channel that it synchronised with
	Overruns uint64 // times that it got stuck
	Stuck    bool   // it is now
}

// Peer is the unikernel.
type Peer struct {
	mu     sync.Mutex
	device device
	host   host
	held   bool
}

// New boots a unikernel: its writer begins an epoch.
func New(cfg Config) (*Peer, error) {
	for _, c := range [][]byte{cfg.In, cfg.Out} {
		if err := channel(c).usable(); err != nil {
			return nil, fmt.Errorf("boot solo5 peer: %w", err)
		}
	}
	if cfg.MAC == nil {
		cfg.MAC = net.HardwareAddr{2, 0x50, 0x10, 5, 0, 1}
	}
	p := &Peer{device: device{in: cfg.In, out: cfg.Out}, host: host{mac: cfg.MAC, addr: cfg.Addr}}
	p.Boot()
	return p, nil
}

// Boot starts the unikernel anew: the writer with a new epoch, the reader at
// the beginning. The statistics go on.
func (p *Peer) Boot() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var epoch [8]byte // the original has the time of the scheduler there
	rand.Read(epoch[:])
	start(p.device.out, binary.NativeEndian.Uint64(epoch[:])|1)
	p.device.reader = reader{}
	p.device.stats.Stuck = false
}

// Step is one look: it takes and answers everything there is, and returns how
// many frames it took. While it is held it does nothing.
func (p *Peer) Step() (taken int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held || !p.device.pending() {
		return 0
	}
	for {
		frame := p.device.receive()
		if frame == nil {
			return taken
		}
		taken++
		if answer := p.host.answer(frame); answer != nil && p.host.addr.Is4() {
			p.device.send(answer)
		}
	}
}

// Run steps every so often until stop is called.
func (p *Peer) Run(every time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(every):
				p.Step()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// Hold makes steps do nothing, as if the unikernel were not scheduled, or do
// something again.
func (p *Peer) Hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

// Send writes a frame of the unikernel's own; one of more than 1514 bytes is
// dropped.
func (p *Peer) Send(frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.device.send(frame)
}

// MAC returns its Ethernet address.
func (p *Peer) MAC() net.HardwareAddr { return slices.Clone(p.host.mac) }

// Stats returns what it has done so far.
func (p *Peer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.device.stats
}

// Violations returns what would have damaged the original's memory, the first
// hundred.
func (p *Peer) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.device.violations)
}
