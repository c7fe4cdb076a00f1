package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// end is an interface's end of one channel: the channel's memory and the
// forwarder that reads or writes it. owner.mu guards what changes.
type end struct {
	owner     *endpoint
	name      string // of the channel, as configured
	dir       string // of channels given by name
	writes    bool
	forwarder forwarder // nil until begin

	region *region.Region // nil: the file is still too small
	// err is why the direction is stopped although the interface is up: its memory
	// is missing (see stopped), or no element fits into the region.
	err error
	// file says that the region's file was removed or replaced while the region
	// stays in use; nil: it is the file of that name.
	file     error
	replaced uint64 // files taken over under the same name

	// When to try again: to restore missing memory, to use a file that has
	// replaced the region's.
	restoring, replacing backoff
}

// open maps the region. For a writer it also takes the lock and refuses a
// region that holds no element of size bytes: every start of the writer would
// fail, and here the caller gets the error. With force the file may hold
// anything.
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

// path returns the path of the channel's file.
func (e *end) path() string {
	if e.region != nil {
		return e.region.Path()
	}
	spec, _ := region.ParseSpec(e.dir, e.name) // open has parsed it without an error
	return spec.Path
}

// stopped reports whether the direction waits for its memory.
func (e *end) stopped() bool {
	return e.region == nil || errors.Is(e.err, region.ErrFault)
}

// bytes returns the memory of the channel. Without a region it is a private
// channel that stays inactive.
func (e *end) bytes() []byte {
	if e.region == nil {
		return make([]byte, shmstream.HeaderSize)
	}
	return e.region.Bytes()
}

// memory returns what the doorbell needs to know of the region; nil: plain
// memory.
func (e *end) memory() doorbell.Memory {
	if e.region == nil {
		return nil
	}
	return e.region
}

// locked returns the function that reports whether a writer holds the lock; nil
// without a region.
func (e *end) locked() func() bool {
	if e.region == nil {
		return nil
	}
	return e.region.WriterLocked
}

// start starts the forwarder if the interface is up and the memory is there. A
// writer that runs begins a new epoch. The caller holds owner.mu.
func (e *end) start() {
	if !e.owner.up || e.stopped() {
		return
	}
	err := e.forwarder.start(e.owner.mtu)
	if errors.Is(err, region.ErrFault) {
		e.fail(err)
		return
	}
	if err != nil {
		e.owner.log.Error("channel not started", "channel", e.name, "err", err)
	}
	e.err = err
}

// openEnds opens both channels. An in-channel that is too small and an
// out-channel without memory may become usable later: they are shown in the
// status, and are no errors.
func (p *parent) openEnds(dir string) (err error) {
	if p.cfg.In != "" {
		p.in = &end{owner: &p.endpoint, name: p.cfg.In, dir: dir}
		p.ends = []*end{p.in}
		p.in.region, err = p.in.open(0, false)
		switch {
		case err == nil:
			p.in.warn(p.in.region)
		case errors.Is(err, region.ErrTooSmall) && !region.IsPCI(p.in.name):
			p.in.err = err
			p.log.Warn("channel not usable yet", "channel", p.in.name, "err", err)
		default:
			return err
		}
	}
	if p.cfg.Out == "" {
		return nil
	}
	p.out = &end{owner: &p.endpoint, name: p.cfg.Out, dir: dir, writes: true}
	p.ends = append([]*end{p.out}, p.ends...)
	if p.out.region, err = p.out.open(p.cfg.Format.Size(p.cfg.MTU), p.cfg.Force); err != nil {
		return err
	}
	if err := p.apart(p.out, p.out.region); err != nil {
		return err
	}
	p.out.warn(p.out.region)
	if err := p.out.region.Allocate(); err != nil {
		p.out.fail(err)
	}
	return nil
}

// apart refuses a region for e that shares bytes with the other direction's or,
// for a writer, with the table of path MTUs, which it would overwrite. The
// names do not tell: links, or a path into the channel directory, may lead to
// one file.
func (ep *endpoint) apart(e *end, r *region.Region) error {
	for _, other := range ep.ends {
		if other != e && other.region != nil && r.Overlaps(other.region) {
			return fmt.Errorf("channels %s and %s are the same memory: want two, one for each direction", ep.cfg.In, ep.cfg.Out)
		}
	}
	if e.writes && ep.pmtu != nil && r.Overlaps(ep.pmtu) {
		return fmt.Errorf("channel %s and pmtu %s are the same memory: want another region for the path MTUs", ep.cfg.Out, ep.cfg.PMTU)
	}
	return nil
}

// warn logs what an administrator should know of the region that e uses now.
func (e *end) warn(r *region.Region) {
	warnForeign(e.owner.log, e.name, r)
	if e.writes {
		return
	}
	if err := r.CheckHeader(); errors.Is(err, region.ErrNoChannel) {
		e.owner.log.Warn("in-channel holds something else until a writer starts", "channel", e.name, "err", err)
	}
}
