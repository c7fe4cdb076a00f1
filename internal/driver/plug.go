package driver

import "github.com/muennet/muennet/internal/region"

// plugged looks once a second whether the devices are still there whose memory
// the channels are. Removing one raises no fault: what is read then are zeros,
// what is written is lost, or, once another device has the address, is written
// there.
func (p *parent) plugged() {
	p.look(func() bool {
		p.checkPlugs()
		return false
	})
}

// checkPlugs stops the directions whose device was removed.
func (p *parent) checkPlugs() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return
	}
	if err := unplugged(p.out, p.outErr); err != nil {
		p.sender.Stop()
		p.faulted(p.out, &p.outErr, err)
	}
	if err := unplugged(p.in, p.inErr); err != nil {
		p.inbound.Pause()
		p.faulted(p.in, &p.inErr, err)
	}
}

// unplugged is why a direction that runs, having no error yet, has to stop.
func unplugged(r *region.Region, known error) error {
	if !pluggable(r) || known != nil {
		return nil
	}
	return r.Intact()
}

// pluggable tells whether a region can go away without a fault.
func pluggable(r *region.Region) bool { return r != nil && r.Kind() == region.PCI }
