package driver

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
)

// parent is an interface bound to channels: an endpoint with one end or two,
// and with children that use them.
type parent struct {
	endpoint
	poll    time.Duration
	newName string // to give an adopted device; "": it keeps the name that it has
	oldName string // to give it back when the load fails; "": it has it

	in, out  *end              // nil where the direction is absent
	inbound  *datapath.Inbound // nil without an in-channel
	presence presence          // of the peer
	pmtuFile error             // what became of the file of pmtu; guarded by mu
	told     uint64            // drops that the kernel was told of; the patrol's
	family   family
	reporter reporter
	load     Config // what made it, as alone returns it
}

// newParent makes an interface in the calling thread's network namespace. It is
// down or, if it was adopted, as it was.
func (d *Driver) newParent(i Interface, cfg Config) (*parent, error) {
	if i.MTU == 0 {
		i.MTU = config.DefaultMTU
	}
	p := &parent{poll: cfg.Poll}
	p.init(d, i, aliasOf(i))
	p.changed, p.presence.tell = p.apply, p.peerChanged
	err := p.openRegions(cfg.Channels)
	if err == nil {
		err = p.openDevice()
	}
	if err != nil {
		p.close(p.adopted)
		return nil, err
	}
	return p, nil
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

// warnForeign logs that a region belongs to another user.
func warnForeign(log *slog.Logger, name string, r *region.Region) {
	if r.Foreign() {
		log.Warn("channel belongs to another user, who can replace it", "channel", name, "owner", r.Owner())
	}
}

// begin runs the forwarders, paused. Without them the interface can only be
// closed.
func (p *parent) begin(cfg Config) error {
	pulse := datapath.NewPulse(p.cfg.RenewAfter())
	if p.out != nil {
		sender, err := datapath.NewSender(datapath.SenderConfig{
			Region: p.out.bytes(), Format: p.cfg.Format, Protocol: p.cfg.WriterProtocol, Memory: p.out.memory(),
			// How often the peer looks is unknown: assume no more often than the
			// default.
			Poll: max(cfg.Poll, config.DefaultPoll), Renew: p.cfg.RenewAfter(), Pulse: pulse, Log: p.log,
			OnFault: func(err error) { go p.out.fault(err) },
		})
		if err != nil {
			return fmt.Errorf("channel %s: %w", p.cfg.Out, err)
		}
		p.sink, p.out.forwarder = sender, writer{sender, p.cfg.Format}
	}
	if err := p.endpoint.begin(); err != nil {
		return err
	}
	if p.in != nil {
		inbound, err := datapath.NewInbound(datapath.InboundConfig{
			Port: p.port, Region: p.in.bytes(), Format: p.cfg.Format, Protocol: p.cfg.ReaderProtocol,
			MergeUDP: p.offload.udp, Memory: p.in.memory(), Poll: cfg.Poll, BusyPoll: busyPoll(cfg),
			Locked: p.in.locked(), Sink: p.sink, Pulse: pulse, Log: p.log,
			OnPeer: p.presence.set, OnFault: func(err error) { go p.in.fault(err) },
		})
		if err != nil {
			return fmt.Errorf("channel %s: %w", p.cfg.In, err)
		}
		p.inbound, p.in.forwarder = inbound, reader{inbound}
		go inbound.Run()
	}
	return nil
}

// apply is that of the endpoint. Going up has the peer's next change seen at
// once.
func (p *parent) apply(state link.State) {
	if state.Up && !p.up {
		p.presence.reset()
	}
	p.endpoint.apply(state)
}

// peerChanged is told by presence which changes of the peer to show.
func (p *parent) peerChanged(active bool) {
	p.showPeer(active, &p.netdev)
	for _, c := range p.family.all() {
		p.showPeer(active, &c.netdev)
	}
	p.log.Info("peer", "channel", p.cfg.In, "active", active)
}

// showPeer sets the carrier of one device of the interface, with carrier=peer.
func (p *parent) showPeer(active bool, n *netdev) {
	if p.cfg.Carrier == config.CarrierPeer {
		n.setCarrier(active)
	}
}

// undo closes an interface whose load has failed. One that was there before
// stays, with the name it had.
func (p *parent) undo() {
	if p.oldName != "" {
		if err := p.rename(p.oldName); err != nil {
			p.log.Warn("interface keeps its new name", "old", p.oldName, "err", err)
		}
	}
	p.close(p.adopted)
}

// close ends the interface and its children: the writer becomes inactive and
// the devices are deleted unless they are to be kept.
func (p *parent) close(keep bool) {
	if !p.beginClose() {
		return
	}
	for _, c := range p.family.all() {
		c.close(keep)
	}
	p.presence.close()
	p.release(keep)
	if p.pmtu != nil {
		p.pmtu.Close()
	}
}

// fullRecord is what the state file needs to know of the interface and its
// children.
func (p *parent) fullRecord() parentRecord {
	return parentRecord{deviceRecord: p.record(), Name: p.cfg.Name, Children: p.family.records()}
}
