package solo5

import (
	"encoding/binary"
	"fmt"
)

// An element is a frame and, at its end, the frame's length.
const (
	frameSize   = 1514
	elementSize = frameSize + 2
)

// device is the network device. Its user's buffer has frameSize bytes.
type device struct {
	in, out    channel
	reader     reader
	element    [elementSize]byte
	stats      Stats
	violations []string
}

// receive returns the next frame, valid until the next call; nil for "again",
// in whatever state the channel is.
func (d *device) receive() []byte {
	before := d.reader.epoch
	result := d.reader.read(d.in, d.element[:], d.violation)
	d.note(result, before)
	if result != success {
		return nil
	}
	d.stats.Received++
	length := int(binary.LittleEndian.Uint16(d.element[frameSize:]))
	if length > frameSize {
		d.violation(fmt.Sprintf("a frame of %d bytes was copied into %d", length, frameSize))
		return nil
	}
	return d.element[:length]
}

// pending is what the device's user waits for.
func (d *device) pending() bool {
	before := d.reader.epoch
	pending := d.reader.pending(d.in)
	d.note(noData, before)
	return pending
}

// note keeps the books, of which the original has none.
func (d *device) note(result outcome, epoch uint64) {
	if d.reader.epoch != epoch {
		d.stats.Stuck = false
		if d.reader.epoch != 0 {
			d.stats.Epochs++
		}
	}
	if result == overrun && !d.stats.Stuck {
		d.stats.Stuck = true
		d.stats.Overruns++
	}
}

// send writes a frame, and drops one that is too long, as the original refuses
// it.
func (d *device) send(frame []byte) {
	if len(frame) > frameSize {
		return
	}
	var element [elementSize]byte
	copy(element[:], frame)
	binary.LittleEndian.PutUint16(element[frameSize:], uint16(len(frame)))
	write(d.out, element[:], d.violation)
	d.stats.Sent++
}

// violation notes what would have damaged the original. Of many it keeps some.
func (d *device) violation(what string) {
	if len(d.violations) < 100 {
		d.violations = append(d.violations, what)
	}
}
