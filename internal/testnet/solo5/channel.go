package solo5

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Protocol is the protocol id of both channels.
const Protocol = 0x7ade5c549b08e814

// transport marks a channel of SHMStream version 2.
const transport = 0x487312b6b79a9b6d

// The header: eight words of 64 bits.
const (
	transportAt = iota
	epochAt
	protocolAt
	sizeAt
	elementsAt
	reservedAt
	wscAt
	wcAt
	headerWords
)

const headerSize = headerWords * 8

// channel is shared memory that begins with a header.
type channel []byte

func (c channel) word(i int) *uint64     { return (*uint64)(unsafe.Pointer(&c[i*8])) }
func (c channel) load(i int) uint64      { return atomic.LoadUint64(c.word(i)) }
func (c channel) store(i int, to uint64) { atomic.StoreUint64(c.word(i), to) }

// usable reports whether the memory can be a channel at all.
func (c channel) usable() error {
	if len(c) < headerSize+elementSize {
		return fmt.Errorf("channel of %d bytes holds no element of %d", len(c), elementSize)
	}
	if uintptr(unsafe.Pointer(&c[0]))%8 != 0 {
		return fmt.Errorf("channel is not aligned to 8 bytes")
	}
	return nil
}

// outcome is what a look at a channel ends with.
type outcome uint8

const (
	inactive outcome = iota
	incompatible
	epochChanged
	noData
	overrun
	success
)

// reader is the reading end. Its zero value has not seen an epoch.
type reader struct {
	epoch, size, elements, rc uint64
}

// synchronise takes over what the header says, unchecked but for the two ids.
func (r *reader) synchronise(c channel) outcome {
	if c.load(protocolAt) != Protocol || c.load(transportAt) != transport {
		return incompatible
	}
	r.epoch, r.size, r.elements, r.rc = c.load(epochAt), c.load(sizeAt), c.load(elementsAt), 0
	return epochChanged
}

// pending reports whether there is something to read, or was: an overrun reader
// is told so for ever. It synchronises, too.
func (r *reader) pending(c channel) bool {
	e := c.load(epochAt)
	if e == 0 {
		return false
	}
	if e != r.epoch && r.synchronise(c) == incompatible {
		return false
	}
	return c.load(wcAt) > r.rc
}

// read copies the next element into element. It copies Size bytes: violation
// gets what lies outside of the two memories.
func (r *reader) read(c channel, element []byte, violation func(string)) outcome {
	e := c.load(epochAt)
	if e == 0 {
		r.epoch = 0
		return inactive
	}
	if e != r.epoch {
		return r.synchronise(c)
	}
	wc := c.load(wcAt)
	switch {
	case wc == r.rc:
		return noData
	case wc-r.rc > r.elements:
		return overrun
	}
	r.copy(c, element, violation)
	result := overrun
	if wsc := c.load(wscAt); wsc-r.rc <= r.elements {
		r.rc++
		result = success
	}
	if c.load(epochAt) != r.epoch {
		r.epoch = 0 // the next call synchronises
		return epochChanged
	}
	return result
}

func (r *reader) copy(c channel, element []byte, violation func(string)) {
	size := r.size
	if size > uint64(len(element)) {
		violation(fmt.Sprintf("an element of %d bytes was copied into %d", size, len(element)))
		size = uint64(len(element))
	}
	// Elements of 2^64 or sizes near it wrap around there, as they do here.
	at := headerSize + r.rc%r.elements*r.size
	if at > uint64(len(c)) || size > uint64(len(c))-at {
		violation(fmt.Sprintf("element %d of %d bytes lies outside of the channel", r.rc%r.elements, r.size))
		return
	}
	copy(element[:size], c[at:])
}

// start begins an epoch.
func start(c channel, epoch uint64) {
	c.store(epochAt, 0)
	for i := range headerWords {
		c.store(i, 0)
	}
	clear(c[headerSize:])
	c.store(transportAt, transport)
	c.store(protocolAt, Protocol)
	c.store(sizeAt, elementSize)
	c.store(elementsAt, uint64(len(c)-headerSize)/elementSize)
	c.store(epochAt, epoch)
}

// write writes one element. Another writer of the channel can make it miss:
// violation gets that.
func write(c channel, element []byte, violation func(string)) {
	size, wc, elements := c.load(sizeAt), c.load(wcAt), c.load(elementsAt)
	if size != elementSize || elements != uint64(len(c)-headerSize)/elementSize {
		violation(fmt.Sprintf("the out-channel has become one of %d elements of %d bytes", elements, size))
		return
	}
	c.store(wscAt, wc+1)
	copy(c[headerSize+wc%elements*size:], element)
	c.store(wcAt, wc+1)
}
