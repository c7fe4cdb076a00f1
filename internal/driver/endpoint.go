package driver

import (
	"log/slog"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/journal"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/tuntap"
)

// endpoint is a device with what carries its packets, a parent's or a child's.
// It is set up in these steps, and closed in the reverse order:
//
//	init            a parent opens its channels before it
//	adopt, create   the device
//	begin           marks and forwarders, which pause
//	settle          link events: the forwarders follow the interface
//
// close undoes as many of them as were taken.
type endpoint struct {
	netdev
	cfg     Interface // a child's is its parent's, with its own name and MTU
	offload offloading
	marking marking

	ends     []*end             // of the channels, the writer's first; a child has none
	pmtu     *region.Region     // path MTU of each mark, the parent's; nil: none
	sink     datapath.Sink      // into the parent's out-channel, if it has one
	port     *datapath.Port     // what is received goes to
	outbound *datapath.Outbound // always there: packets to send must leave the device

	// Guarded by mu.
	up  bool // what the forwarders have been told
	mtu int
}

// init prepares an endpoint for its device.
func (ep *endpoint) init(d *Driver, cfg Interface, alias string) {
	ep.d, ep.cfg, ep.alias, ep.mtu = d, cfg, alias, cfg.MTU
	ep.log = d.logOf(cfg.Name)
	ep.closed = make(chan struct{})
	ep.sink = new(datapath.Discard)
	ep.changed, ep.moved = ep.apply, ep.marking.reattach
}

// logOf returns the log for all that happens to an interface. It is limited:
// peers and local programs can cause most of it as often as they like.
func (d *Driver) logOf(name string) *slog.Logger {
	return slog.New(journal.NewLimit(d.opt.Log.Handler())).With("interface", name)
}

// begin attaches the programs for marks and runs the Outbound, paused.
func (ep *endpoint) begin() error {
	if ep.cfg.Format == element.NetHdr {
		if err := ep.openMarks(); err != nil {
			return err
		}
	}
	ep.port = datapath.NewPort(datapath.PortConfig{
		Device: ep.dev, Marks: ep.marking.port(), Skip: ep.skip(), Merge: ep.offload.tcp, Log: ep.log,
	})
	cfg := datapath.OutboundConfig{
		Device: ep.dev, Sink: ep.sink, Skip: ep.skip(), Offload: ep.offload.vnet,
		Ethernet: ep.cfg.Format == element.EthDev, Marks: ep.marking.queues,
	}
	if ep.cfg.Format == element.NetHdr { // in other modes packets may be anything
		cfg.Answers = ep.port
	}
	if ep.pmtu != nil {
		cfg.PMTU = datapath.NewPMTU(ep.pmtu.Bytes(), ep.log)
	}
	ep.outbound = datapath.NewOutbound(cfg)
	go ep.outbound.Run()
	return nil
}

// skip returns how many bytes the device puts before each packet.
func (ep *endpoint) skip() int {
	switch {
	case ep.cfg.Format == element.Raw:
		return tuntap.PacketInfoSize
	case ep.offload.vnet:
		return tuntap.VnetHdrSize
	}
	return 0
}

// settle makes the forwarders follow the interface from now on.
func (ep *endpoint) settle() error {
	if err := ep.track(); err != nil {
		return err
	}
	if ep.adopted {
		ep.pin(ep.at().netns)
	}
	return nil
}

// apply brings the forwarders in step with the interface. The caller holds mu.
func (ep *endpoint) apply(state link.State) {
	mtu := ep.usableMTU(state.MTU)
	changed := mtu != ep.mtu
	ep.mtu = mtu
	ep.port.Expect(ep.longest())
	switch {
	case state.Up && !ep.up:
		ep.start()
	case !state.Up && ep.up:
		ep.stop()
	case state.Up && changed:
		for _, e := range ep.ends {
			if e.writes {
				e.start()
			}
		}
	}
}

// start is ip link set up: the writer begins an epoch, the reader begins where
// the peer is now.
func (ep *endpoint) start() {
	ep.up = true
	for _, e := range ep.ends {
		e.start()
	}
	ep.outbound.Resume()
}

// stop is ip link set down.
func (ep *endpoint) stop() {
	ep.up = false
	ep.outbound.Pause()
	for _, e := range ep.ends {
		e.forwarder.stop()
	}
}

// longest returns the length of the longest packet that the interface sends, in
// bytes. A tagged Ethernet frame may be 4 bytes longer, as on any port.
func (ep *endpoint) longest() int {
	if ep.cfg.Format == element.EthDev {
		return ep.mtu + ethernetHeader + vlanTag
	}
	return ep.mtu
}

const (
	ethernetHeader = 14 // IEEE 802.3: two addresses and the type
	vlanTag        = 4  // IEEE 802.1Q
)

// minMTU is the smallest MTU in bytes that a TUN/TAP device can have:
// ETH_MIN_MTU of include/uapi/linux/if_ether.h.
const minMTU = 68

// usableMTU returns the interface's MTU, with two exceptions: a TUN cannot have
// the shortest ones of raw mode, and a fragile peer gets no other than 1500.
func (ep *endpoint) usableMTU(mtu int) int {
	switch {
	case ep.cfg.Format == element.Raw && mtu == minMTU && ep.cfg.MTU < minMTU:
		return ep.cfg.MTU
	case ep.fragile() && mtu != config.DefaultMTU:
		ep.log.Warn("mtu is set back: the peer of this protocol copies lengths unchecked; force=1 allows it", "mtu", mtu, "protocol", hex(ep.cfg.WriterProtocol))
		err := ep.request(func(h *link.Handle, index int) error { return h.SetMTU(index, config.DefaultMTU) })
		if err != nil {
			ep.log.Warn("mtu not set back", "err", err)
		}
		return config.DefaultMTU
	}
	return mtu
}

// fragile reports whether elements of another size could harm the peer.
func (ep *endpoint) fragile() bool {
	return ep.cfg.Format == element.EthDev && ep.cfg.WriterProtocol == config.SoloProtocol && ep.cfg.Out != "" && !ep.cfg.Force
}

// release stops the forwarders and closes the device and the channels. The
// device is deleted unless it is to be kept. The caller has begun to close.
func (ep *endpoint) release(keep bool) {
	if ep.outbound != nil {
		ep.outbound.Close()
	}
	for _, e := range ep.ends {
		if e.forwarder != nil {
			e.forwarder.close()
		}
	}
	if ep.dev != nil {
		ep.releaseDevice(keep)
	}
	for _, e := range ep.ends {
		if e.region != nil {
			e.region.Close()
		}
	}
}

func (ep *endpoint) releaseDevice(keep bool) {
	if keep {
		// The programs of an interface that stays are detached where it is.
		_ = ep.inNetNS(func() error {
			ep.marking.close()
			return nil
		})
	} else {
		ep.delete()
	}
	ep.dev.Close()
	ep.marking.close()
}
