package driver

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/journal"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/tuntap"
)

// parent is an interface bound to channels.
type parent struct {
	followed
	cfg  Interface
	poll time.Duration

	offload offloading
	rename  bool   // adopted under a name that this load does not ask for
	was     string // what it was called until then

	// Each direction's parts are nil where it is absent.
	in, out  *end
	pmtu     *region.Region // path MTU of each mark; nil: none
	sender   datapath.Sink
	inbound  *datapath.Inbound
	port     *datapath.Port
	outbound *datapath.Outbound // always there: somebody has to empty the device
	presence presence           // of the peer

	// Guarded by mu.
	up       bool // what the forwarders have been told
	mtu      int
	pmtuFile error // what became of the file of pmtu

	reporter reporter

	// family guards children and their marks. Nothing else is locked or called
	// while it is held. Only Driver.change lets them be changed.
	family   sync.Mutex
	children []*child
	stranded []childRecord // a crash left them, and they could not be taken over
}

// minMTU is the smallest MTU in bytes that a TUN/TAP device can have: ETH_MIN_MTU
// of include/uapi/linux/if_ether.h.
const minMTU = 68

// create makes one interface, down or, where it was adopted, as it was, in the
// calling thread's namespace. It needs begin and watch to become alive.
func (d *Driver) create(i Interface, cfg Config) (_ *parent, err error) {
	if i.MTU == 0 {
		i.MTU = config.DefaultMTU
	}
	p := &parent{
		followed: followed{d: d, alias: aliasOf(i), log: d.logOf(i.Name), closed: make(chan struct{})},
		cfg:      i, poll: cfg.Poll, mtu: i.MTU,
	}
	p.changed = p.follow
	p.presence.tell = p.peerChanged
	defer func() {
		if err != nil {
			p.dispose(p.adopted)
		}
	}()
	if err := p.openRegions(cfg.Channels); err != nil {
		return nil, err
	}
	if p.dev, p.adopted, err = d.openDevice(p); err != nil {
		return nil, err
	}
	return p, nil
}

// begin runs the forwarders, paused. Without them the interface can only be
// closed.
func (p *parent) begin(cfg Config) error {
	if err := p.openForwarders(cfg); err != nil {
		return err
	}
	go p.outbound.Run()
	if p.inbound != nil {
		go p.inbound.Run()
	}
	return nil
}

// openRegions maps the channels, takes the writer's lock and maps the table of
// path MTUs.
func (p *parent) openRegions(dir string) (err error) {
	if p.cfg.PMTU != "" {
		if p.pmtu, err = region.Open(dir, p.cfg.PMTU, region.Inspect); err != nil {
			return err
		}
		warnForeign(p.log, p.cfg.PMTU, p.pmtu)
	}
	return p.openEnds(dir)
}

// openForwarders builds what carries the packets, paused.
func (p *parent) openForwarders(cfg Config) (err error) {
	pulse := datapath.NewPulse(p.cfg.RenewAfter())
	p.sender = new(datapath.Discard)
	if p.out != nil {
		sender, err := datapath.NewSender(datapath.SenderConfig{
			Region: p.out.bytes(), Format: p.cfg.Format, Protocol: p.cfg.WriterProtocol, Memory: p.out.memory(),
			Poll: cfg.Poll, Renew: p.cfg.RenewAfter(), Pulse: pulse, Log: p.log,
			OnFault: func(err error) { go p.out.fault(err) },
		})
		if err != nil {
			return fmt.Errorf("channel %s: %w", p.cfg.Out, err)
		}
		p.sender, p.out.forwarder = sender, writer{sender, p.cfg.Format}
	}
	if p.cfg.Format == element.NetHdr {
		if err := p.openMarks(); err != nil {
			return err
		}
	}
	p.port = datapath.NewPort(datapath.PortConfig{Device: p.dev, Marks: p.marking.port(), Skip: p.skip(), Merge: p.offload.tcp, Log: p.log})
	if p.in != nil {
		p.inbound, err = datapath.NewInbound(datapath.InboundConfig{
			Port: p.port, Region: p.in.bytes(), Format: p.cfg.Format, Protocol: p.cfg.ReaderProtocol,
			MergeUDP: p.offload.udp, Memory: p.in.memory(), Poll: cfg.Poll, BusyPoll: busyPoll(cfg), Locked: p.in.locked(), Sink: p.sender, Pulse: pulse, Log: p.log,
			OnPeer: p.presence.follow, OnFault: func(err error) { go p.in.fault(err) },
		})
		if err != nil {
			return fmt.Errorf("channel %s: %w", p.cfg.In, err)
		}
		p.in.forwarder = reader{p.inbound}
	}
	p.outbound = datapath.NewOutbound(datapath.OutboundConfig{Device: p.dev, Sink: p.sender, Skip: p.skip(), Offload: p.offload.vnet, Ethernet: p.cfg.Format == element.EthDev, Marks: p.marking.queues, PMTU: p.newPMTU(), Answers: p.answers()})
	return nil
}

// newPMTU limits what a device of this interface sends; nil: nothing does.
func (p *parent) newPMTU() *datapath.PMTU {
	if p.pmtu == nil {
		return nil
	}
	return datapath.NewPMTU(p.pmtu.Bytes(), p.log)
}

// warnForeign logs that a region's owner can do with it what they like.
func warnForeign(log *slog.Logger, name string, r *region.Region) {
	if r.Foreign() {
		log.Warn("channel belongs to another user, who can replace it", "channel", name, "owner", r.Owner())
	}
}

// answers is where senders are told that a packet is too long, nil in modes whose
// packets may be anything.
func (p *parent) answers() *datapath.Port {
	if p.cfg.Format != element.NetHdr {
		return nil
	}
	return p.port
}

// skip is how many bytes the device has before each packet.
func (p *parent) skip() int {
	switch {
	case p.cfg.Format == element.Raw:
		return tuntap.PacketInfoSize
	case p.offload.vnet:
		return tuntap.VnetHdrSize
	}
	return 0
}

// follow brings the forwarders in step with the interface. The caller holds mu.
func (p *parent) follow(state link.State) {
	mtu := p.usableMTU(state.MTU)
	switch {
	case state.Up && !p.up:
		p.mtu = mtu
		p.start()
	case !state.Up && p.up:
		p.stop()
	case state.Up && mtu != p.mtu:
		p.mtu = mtu
		if p.out != nil {
			p.out.start()
		}
		p.expect()
	default:
		p.mtu = mtu
	}
}

// usableMTU is the interface's MTU, with two exceptions: a TUN cannot have the
// short ones of raw mode, and a fragile peer gets no other than 1500.
func (p *parent) usableMTU(mtu int) int {
	switch {
	case p.cfg.Format == element.Raw && mtu == minMTU && p.cfg.MTU < minMTU:
		return p.cfg.MTU
	case p.fragile() && mtu != config.DefaultMTU:
		p.log.Warn("mtu is set back: the peer of this protocol copies lengths unchecked; force=1 allows it", "mtu", mtu, "protocol", hex(p.cfg.WriterProtocol))
		err := p.ask(func(h *link.Handle, index int) error { return h.SetMTU(index, config.DefaultMTU) })
		if err != nil {
			p.log.Warn("mtu cannot be set back", "err", err)
		}
		return config.DefaultMTU
	}
	return mtu
}

func (p *parent) fragile() bool {
	return p.cfg.Format == element.EthDev && p.cfg.WriterProtocol == config.SoloProtocol && p.out != nil && !p.cfg.Force
}

// start is ip link set up: the writer begins an epoch, the reader begins where
// the peer is now.
func (p *parent) start() {
	p.up = true
	p.presence.reset()
	p.expect()
	for _, e := range p.ends() {
		e.start()
	}
	p.outbound.Resume()
}

// stop is ip link set down.
func (p *parent) stop() {
	p.up = false
	p.outbound.Pause()
	for _, e := range p.ends() {
		e.forwarder.stop()
	}
}

// expect tells the inbound forwarder the longest packet that the interface
// sends. A tagged Ethernet frame may be 4 bytes longer, as on any port.
func (p *parent) expect() {
	most := p.mtu
	if p.cfg.Format == element.EthDev {
		most += ethernetHeader + vlanTag
	}
	p.port.Expect(most)
}

const (
	ethernetHeader = 14 // IEEE 802.3: two addresses and the type
	vlanTag        = 4  // IEEE 802.1Q
)

// peerChanged is called by presence, with the changes that are to be seen.
func (p *parent) peerChanged(active bool) {
	p.followPeer(active, &p.followed)
	for _, c := range p.kids() {
		p.followPeer(active, &c.followed)
	}
	p.log.Info("peer", "channel", p.cfg.In, "active", active)
}

// followPeer sets the carrier of one device of the interface, if it is the peer's.
func (p *parent) followPeer(active bool, f *followed) {
	if p.cfg.Carrier == config.CarrierPeer {
		f.setCarrier(active)
	}
}

// logOf returns the log for all that happens to an interface. Peers and local
// programs can cause most of it as often as they like.
func (d *Driver) logOf(name string) *slog.Logger {
	return slog.New(journal.NewLimit(d.opt.Log.Handler())).With("interface", name)
}

// kids returns the children of now.
func (p *parent) kids() []*child {
	p.family.Lock()
	defer p.family.Unlock()
	return slices.Clone(p.children)
}

// kid returns the child of that name, nil if there is none.
func (p *parent) kid(name string) *child {
	for _, c := range p.kids() {
		if c.name() == name {
			return c
		}
	}
	return nil
}

// record is what finds the interface and its children again.
func (p *parent) record() record {
	r := record{place: p.place(), Name: p.cfg.Name}
	p.family.Lock()
	r.Children = slices.Clone(p.stranded)
	p.family.Unlock()
	for _, c := range p.kids() {
		r.Children = append(r.Children, childRecord{place: c.place(), Marks: c.held()})
	}
	return r
}

// close ends the interface: the writer becomes inactive and the device goes,
// unless it is to be kept.
func (p *parent) close(keep bool) {
	if !p.end() {
		return
	}
	for _, c := range p.kids() {
		c.close(keep)
	}
	if p.outbound != nil {
		p.outbound.Close()
	}
	for _, e := range p.ends() {
		if e.forwarder != nil {
			e.forwarder.close()
		}
	}
	p.presence.close()
	p.dispose(keep)
}

// dispose gives back what the operating system lent.
func (p *parent) dispose(keep bool) {
	p.followed.dispose(keep)
	for _, e := range p.ends() {
		if e.region != nil {
			e.region.Close()
		}
	}
	if p.pmtu != nil {
		p.pmtu.Close()
	}
}
