package shmstream

// The layout of a region: eight 64-bit words in machine byte order, then the
// elements without any padding. Element i lies at
// HeaderSize + (i mod Elements) * Size.
//
//	field      offset  meaning
//	Transport  0       the constant Transport; may be 0 while inactive
//	Epoch      8       atomic; 0 = inactive; another value at every start
//	Protocol   16      what the elements mean; never 0; both ends must agree
//	Size       24      bytes of one element, 1..MaxElementSize
//	Elements   32      number of elements, at least 1
//	Reserved   40      written as 0, ignored when read
//	WSC        48      atomic; write start counter: raised before an element changes
//	WC         56      atomic; write counter: raised when the element is complete
//	data       64      Elements * Size bytes
const (
	TransportOffset = 0
	EpochOffset     = 8
	ProtocolOffset  = 16
	SizeOffset      = 24
	ElementsOffset  = 32
	ReservedOffset  = 40
	WSCOffset       = 48
	WCOffset        = 56

	// HeaderSize is the length of the header in bytes: where the data begins.
	HeaderSize = 64
)

// Transport is the first word of an active channel: SHMStream version 2.
const Transport uint64 = 0x487312b6b79a9b6d

// MaxElementSize is the largest element in bytes that a writer makes and a
// reader accepts.
const MaxElementSize = 1 << 20

// Epoch tells the sessions of a writer apart. 0 means inactive.
type Epoch uint64

// Header is a copy of a region's header.
type Header struct {
	Transport uint64
	Epoch     Epoch
	Protocol  uint64
	Size      uint64 // bytes
	Elements  uint64
	Reserved  uint64
	WSC       uint64 // elements begun since the epoch started
	WC        uint64 // elements completed since the epoch started
}

// ReadHeader copies the header of a region for display, without judging it
// and without any effect on the channel. Each word is read atomically, but the
// eight of them are not one moment: while a writer starts, old and new values
// may be mixed. An error means that region cannot hold a channel: it is shorter
// than HeaderSize or not aligned to 8 bytes.
func ReadHeader(region []byte) (Header, error) {
	c, err := controlOf(region)
	if err != nil {
		return Header{}, err
	}
	return Header{
		Transport: c.load(wordTransport),
		Epoch:     Epoch(c.load(wordEpoch)),
		Protocol:  c.load(wordProtocol),
		Size:      c.load(wordSize),
		Elements:  c.load(wordElements),
		Reserved:  c.load(wordReserved),
		WC:        c.load(wordWC), // P5: before WSC, so that WSC >= WC is seen
		WSC:       c.load(wordWSC),
	}, nil
}

// Result is the outcome of a step of a [Reader].
type Result uint8

const (
	// Inactive: there is no writer (Epoch is 0).
	Inactive Result = iota
	// Incompatible: there is a writer, but its header is not one this reader
	// can follow, or it broke the protocol; [Reader.Reason] says how.
	Incompatible
	// EpochChanged: the writer has started anew. What was pending is gone, and
	// what was being read must be discarded.
	EpochChanged
	// NoData: everything written so far has been read.
	NoData
	// Overrun: the writer was faster; elements were lost and what was being
	// read must be discarded. The reader has moved on to newer elements.
	Overrun
	// Success: an element is there or was read intact.
	Success
)

var resultNames = [...]string{"Inactive", "Incompatible", "EpochChanged", "NoData", "Overrun", "Success"}

// String returns the name of the outcome as the specification spells it.
func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return "Result(unknown)"
}
