package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/muennet/muennet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// patience is how long to wait for interfaces to run. With carrier=peer one
// does not before its peer does; it will then be running a little later.
const patience = 20 * time.Second

// network is what the system knows of its interfaces.
type network struct {
	log    *slog.Logger
	net    *muennet.Net
	names  []string // of interfaces, as loaded
	opened time.Time
}

// open makes the interfaces. They are down, and have no addresses yet.
func (n *network) open(s settings) error {
	if !s.Auto && len(s.Parameters) == 0 {
		return nil
	}
	n.opened = time.Now()
	load, err := n.load(s)
	if err != nil {
		return fmt.Errorf("read parameters: %w", err)
	}
	// A Net without interfaces cannot fail, and Load tells their names.
	if n.net, err = muennet.Open(muennet.Config{Logger: n.log}); err != nil {
		return fmt.Errorf("open muennet: %w", err)
	}
	if n.names, err = n.net.Load(load); err != nil {
		return fmt.Errorf("load interfaces: %w", err)
	}
	return nil
}

// load says what interfaces to make.
func (n *network) load(s settings) (muennet.Load, error) {
	if !s.Auto {
		load, err := muennet.ParseLoad(s.Parameters...)
		load.Channels = s.Channels
		return load, err
	}
	load, skipped, err := muennet.Auto(muennet.AutoConfig{Channels: s.Channels, Parameters: s.Parameters})
	for _, one := range skipped {
		n.log.Warn(fmt.Sprintf("no interface for %v", one))
	}
	return load, err
}

// configure gives the interfaces their addresses and brings them up. An error
// of one does not keep it from the others.
func (n *network) configure(s settings) (err error) {
	for _, a := range s.addresses {
		if e := n.addAddress(a); e != nil {
			err = errors.Join(err, fmt.Errorf("add address %v to %s: %w", a.prefix, a.name, e))
		}
	}
	for _, name := range append([]string{"lo"}, n.names...) {
		if e := setUp(name); e != nil {
			err = errors.Join(err, fmt.Errorf("set %s up: %w", name, e))
		}
	}
	return err
}

func (n *network) addAddress(a address) error {
	link, err := netlink.LinkByName(a.name)
	if err != nil {
		return err
	}
	to := &netlink.Addr{IPNet: &net.IPNet{
		IP:   a.prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(a.prefix.Bits(), a.prefix.Addr().BitLen()),
	}}
	if a.prefix.Addr().Is6() {
		// No duplicate address detection: the link has only two ends.
		to.Flags = unix.IFA_F_NODAD
	}
	return netlink.AddrAdd(link, to)
}

func setUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// await waits until all interfaces run, and says so for each.
func (n *network) await() (err error) {
	for _, name := range n.names {
		for !running(name) {
			if time.Since(n.opened) > patience {
				err = errors.Join(err, fmt.Errorf("%s does not run after %v", name, patience))
				break
			}
			time.Sleep(time.Millisecond)
		}
		if running(name) {
			n.log.Info("interface is running", "name", name, "after", time.Since(n.opened).Round(time.Millisecond))
		}
	}
	return err
}

func running(name string) bool {
	link, err := netlink.LinkByName(name)
	return err == nil && link.Attrs().RawFlags&unix.IFF_RUNNING != 0
}

// printState prints the state and counters of each interface, a line each.
func (n *network) printState() {
	if n.net == nil {
		n.log.Info("there are no interfaces of muennet")
		return
	}
	for _, s := range n.net.Status() {
		text, err := json.Marshal(s)
		if err != nil {
			n.log.Error(fmt.Sprintf("print state of %s: %v", s.Name, err))
			continue
		}
		fmt.Printf("state: %s\n", text)
	}
}

// close makes the writers inactive and removes the interfaces.
func (n *network) close() error {
	if n.net == nil {
		return nil
	}
	return n.net.Close()
}
