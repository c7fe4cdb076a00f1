package region

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/shmstream"
)

// ErrNoChannel says that memory holds neither a channel, active or inactive,
// nor the zeros of a fresh one. It does not reveal the content, because the
// error may reach users who cannot read the file.
var ErrNoChannel = errors.New("neither a channel nor all zeros")

// contents is what memory holds, judging by its header.
type contents uint8

const (
	blank   contents = iota // a header of zeros
	channel                 // the header of a channel, active or not
	other
)

// contentsOf classifies the header of a region of size bytes. The transport
// word is sufficient proof of a channel. Without it the channel may be inactive
// (SHMStream 2: Transport may be 0 then), if the rest is plausible for a region
// of this size.
func contentsOf(h shmstream.Header, size int) contents {
	switch {
	case h == shmstream.Header{}:
		return blank
	case h.Transport == shmstream.Transport:
		return channel
	case h.Transport != 0 || h.Epoch != 0 || h.Reserved != 0 || h.Protocol == 0:
		return other
	case h.Size < 1 || h.Size > shmstream.MaxElementSize || h.Elements < 1:
		return other
	case h.Elements > uint64(size-MinSize)/h.Size: // Size * Elements could overflow
		return other
	case h.WSC < h.WC || h.WSC-h.WC > h.Elements:
		return other
	}
	return channel
}

// IsChannel reports whether h can be the header of a channel (active, inactive
// or fresh) in a region of size bytes. It does not say whether a reader can
// follow an active one.
func IsChannel(h shmstream.Header, size int) bool { return contentsOf(h, size) != other }

// CheckHeader returns [ErrNoChannel] if the region's header is neither that of
// a channel nor all zeros, [ErrFault] if its memory is gone, and [os.ErrClosed]
// after Close. A reader needs no stricter check, because a writer may still
// start.
func (r *Region) CheckHeader() error {
	r.mu.Lock() // excludes Close, which unmaps
	defer r.mu.Unlock()
	if r.fd < 0 {
		return os.ErrClosed
	}
	var h shmstream.Header
	var err error
	if fault := Guard(func() { h, err = shmstream.ReadHeader(r.bytes) }); fault != nil {
		return fault
	}
	if err == nil && contentsOf(h, len(r.bytes)) == other {
		err = ErrNoChannel
	}
	return err
}

// checkContent keeps a writer from overwriting a file that is not a channel: n
// bytes of the file, from first on, must hold a channel or zeros. It reads
// through the descriptor, because reading a hole through a mapping would
// allocate pages.
func (r *Region) checkContent(first, n int64) error {
	header := make([]byte, MinSize)
	if err := readFull(r.fd, header, first); err != nil {
		return err
	}
	h, err := shmstream.ReadHeader(header)
	if err != nil {
		return err
	}
	switch contentsOf(h, int(n)) {
	case channel:
		return nil
	case blank:
		if clean, err := zeros(r.fd, first+MinSize, first+n); clean || err != nil {
			return err
		}
	}
	what := "file"
	if r.spec.Windowed {
		what = "window"
	}
	return fmt.Errorf("a %s of %d bytes that is %w: a writer would overwrite it; force=1 allows that", what, n, ErrNoChannel)
}

// zeros reports whether all bytes of a file from first to end are 0. It skips
// holes, so a fresh file costs nothing, however large it is.
func zeros(fd int, first, end int64) (bool, error) {
	const chunk = 64 << 10
	buf, blank := make([]byte, chunk), make([]byte, chunk)
	for at := first; at < end; {
		data, err := unix.Seek(fd, at, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // only holes up to the end
			return true, nil
		case err == nil && data > at:
			at = data
			continue
		}
		// Data, or a file system without support for holes.
		n := min(chunk, end-at)
		if err := readFull(fd, buf[:n], at); err != nil {
			return false, err
		}
		if !bytes.Equal(buf[:n], blank[:n]) {
			return false, nil
		}
		at += n
	}
	return true, nil
}

// readFull reads len(buf) bytes of a file, starting at offset at.
func readFull(fd int, buf []byte, at int64) error {
	for len(buf) > 0 {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(fd, buf, at)
			return err
		})
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF // the file is shrinking
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		buf, at = buf[n:], at+int64(n)
	}
	return nil
}
