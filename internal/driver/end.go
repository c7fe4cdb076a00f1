package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// end is an interface's end of one channel. parent.mu guards what changes.
type end struct {
	name   string // as configured
	dir    string // of channels given by name
	writes bool

	region *region.Region // nil: the file is too small yet
	// err is why the direction is stopped although the interface is up: one that
	// the patrol looks after (see stopped), or that no element fits.
	err error
	// file is what became of the region's file while the region goes on; nil:
	// it is the file of that name.
	file     error
	replaced uint64 // times that another file was taken over

	retry, takeover backoff // of memory that went away, of files that were replaced
}

// open maps the region. For the writer it also takes the lock and refuses a
// region that holds no element of size bytes, as every start of the writer would,
// but while there is somebody to be told. With force it does not matter what the
// file holds.
func (e *end) open(size int, force bool) (*region.Region, error) {
	access := region.ReadOnly
	switch {
	case e.writes && force:
		access = region.Overwrite
	case e.writes:
		access = region.ReadWrite
	}
	r, err := region.Open(e.dir, e.name, access)
	if err != nil || !e.writes {
		return r, err
	}
	if err = r.Lock(); err == nil && r.Size() < region.MinSize+size {
		err = fmt.Errorf("channel %s: region of %d bytes holds no element of %d bytes", e.name, r.Size(), size)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// path is that of the file.
func (e *end) path() string {
	if e.region != nil {
		return e.region.Path()
	}
	spec, _ := region.ParseSpec(e.dir, e.name) // it could be parsed before
	return spec.Path
}

// stopped tells whether the direction waits for its memory.
func (e *end) stopped() bool {
	return e.region == nil || errors.Is(e.err, region.ErrFault)
}

// bytes is the memory of the channel. Without any it is a channel of our own that
// stays inactive.
func (e *end) bytes() []byte {
	if e.region == nil {
		return make([]byte, shmstream.HeaderSize)
	}
	return e.region.Bytes()
}

// memory is what the doorbell wants to know; nil: it is plain.
func (e *end) memory() doorbell.Memory {
	if e.region == nil {
		return nil
	}
	return e.region
}

// locked tells whether a writer holds the lock.
func (e *end) locked() func() bool {
	if e.region == nil {
		return nil
	}
	return e.region.WriterLocked
}

// openEnds opens both channels. An in-channel that is too small, and an
// out-channel that there is no memory for, may become usable later: they are no
// errors, but what is shown.
func (p *parent) openEnds(dir string) (err error) {
	if p.cfg.In != "" {
		p.in = &end{name: p.cfg.In, dir: dir}
		p.in.region, err = p.in.open(0, false)
		switch {
		case err == nil:
			p.remark(p.in, p.in.region)
		case errors.Is(err, region.ErrTooSmall) && !region.IsPCI(p.in.name):
			p.in.err = err
			p.log.Warn("channel is not usable yet", "channel", p.in.name, "err", err)
		default:
			return err
		}
	}
	if p.cfg.Out == "" {
		return nil
	}
	p.out = &end{name: p.cfg.Out, dir: dir, writes: true}
	if p.out.region, err = p.out.open(p.elementSize(p.cfg.MTU), p.cfg.Force); err != nil {
		return err
	}
	if err := p.apart(p.out, p.out.region); err != nil {
		return err
	}
	p.remark(p.out, p.out.region)
	if err := p.out.region.Allocate(); err != nil {
		p.faulted(p.out, err)
	}
	return nil
}

// apart refuses a region for e that shares bytes with the one of the other
// direction, or for the writer with the table of path MTUs, which it would
// overwrite. Names do not tell when links, or a path into the channel directory,
// lead to one file.
func (p *parent) apart(e *end, r *region.Region) error {
	for _, other := range p.ends() {
		if other != e && other.region != nil && r.Overlaps(other.region) {
			return fmt.Errorf("channels %s and %s are the same memory: want two, one for each direction", p.cfg.In, p.cfg.Out)
		}
	}
	if e.writes && p.pmtu != nil && r.Overlaps(p.pmtu) {
		return fmt.Errorf("channel %s and pmtu %s are the same memory: want another region for the path MTUs", p.cfg.Out, p.cfg.PMTU)
	}
	return nil
}

// remark logs what an administrator should know of a region that e has now.
func (p *parent) remark(e *end, r *region.Region) {
	p.remarkOwner(e.name, r)
	if e.writes {
		return
	}
	if err := r.CheckHeader(); errors.Is(err, region.ErrNoChannel) {
		p.log.Warn("in-channel holds something else until a writer starts", "channel", e.name, "err", err)
	}
}

// remarkOwner logs an owner who can do with a region as he likes.
func (p *parent) remarkOwner(name string, r *region.Region) {
	if r.Foreign() {
		p.log.Warn("channel belongs to another user, who can replace it", "channel", name, "owner", r.Owner())
	}
}

// elementSize is how long the elements for an MTU are, in bytes.
func (p *parent) elementSize(mtu int) int { return p.cfg.Format.Size(mtu) }

// bind has the forwarder of e use another region. The caller holds mu.
func (p *parent) bind(e *end, r *region.Region) error {
	if e == p.out {
		return p.sender.Rebind(r.Bytes())
	}
	p.inbound.Pause()
	return p.inbound.Rebind(r.Bytes(), r, r.WriterLocked)
}

// halt stops the forwarder of e. The caller holds mu.
func (p *parent) halt(e *end) {
	if e == p.out {
		p.sender.Stop()
	} else {
		p.inbound.Pause()
	}
}

// resume starts the forwarder of e again if the interface is up. The caller
// holds mu.
func (p *parent) resume(e *end) {
	if e == p.out {
		p.startOut()
	} else {
		p.startIn()
	}
}

// ends are those that the interface has.
func (p *parent) ends() []*end {
	var all []*end
	for _, e := range []*end{p.in, p.out} {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}
