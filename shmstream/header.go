package shmstream

// The layout of a region: eight 64-bit words in machine byte order, then the
// elements without padding. Element i lies at HeaderSize + (i mod Elements) *
// Size.
//
//	field      offset  meaning
//	Transport  0       the constant Transport; may be 0 while inactive
//	Epoch      8       atomic; 0 = inactive; changes with every start
//	Protocol   16      meaning of the elements; never 0; both ends must agree
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

	// HeaderSize is the size of the header in bytes, and the offset of the
	// data.
	HeaderSize = 64
)

// Transport is the first word of an active channel: SHMStream version 2.
const Transport uint64 = 0x487312b6b79a9b6d

// MaxElementSize is the size in bytes of the largest element that writers
// create and readers accept.
const MaxElementSize = 1 << 20

// Epoch identifies a session of a writer. 0 means inactive.
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

// ReadHeader copies the header of a region for display. It does not validate
// the header and does not affect the channel. Each word is read atomically, but
// the header as a whole is not: while a writer starts, the copy may mix old and
// new values. ReadHeader fails if region cannot hold a channel: if it is
// shorter than HeaderSize or not aligned to 8 bytes.
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
		WC:        c.load(wordWC), // P5: before WSC, so that WSC >= WC holds
		WSC:       c.load(wordWSC),
	}, nil
}

// Result is the outcome of a method of [Reader].
type Result uint8

const (
	// Inactive: there is no writer (Epoch is 0).
	Inactive Result = iota
	// Incompatible: there is a writer, but the reader does not support its
	// header, or it broke the protocol. [Reader.Reason] says why.
	Incompatible
	// EpochChanged: the writer has restarted. Pending elements are gone,
	// and a copy in progress must be discarded.
	EpochChanged
	// NoData: everything written so far has been read.
	NoData
	// Overrun: the writer was faster. Elements were lost, and a copy in
	// progress must be discarded. The reader has moved on to newer
	// elements.
	Overrun
	// Success: an element is available or was read intact.
	Success
)

var resultNames = [...]string{"Inactive", "Incompatible", "EpochChanged", "NoData", "Overrun", "Success"}

// String returns the name of the outcome as spelled in the specification.
func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return "Result(unknown)"
}
