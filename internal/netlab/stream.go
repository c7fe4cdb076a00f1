package netlab

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
)

// blockSize is how much Send writes at a time, in bytes.
const blockSize = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum is the length of a stream in bytes and its checksum: two ends of a stream
// have the same Sum if every byte arrived.
type Sum struct {
	Bytes int64
	CRC   uint32
}

// Write adds p. It never fails.
func (s *Sum) Write(p []byte) (int, error) {
	s.Bytes += int64(len(p))
	s.CRC = crc32.Update(s.CRC, castagnoli, p)
	return len(p), nil
}

// Send writes blocks of 256 KiB, no two alike, while more says so of the bytes
// sent so far, and closes the sending side of the connection.
func Send(conn *net.TCPConn, more func(sent int64) bool) (sent Sum, err error) {
	block := make([]byte, blockSize)
	for i := 0; i < len(block); i += 8 {
		binary.LittleEndian.PutUint64(block[i:], rand.Uint64())
	}
	for n := uint64(0); more(sent.Bytes); n++ {
		binary.LittleEndian.PutUint64(block, n)
		if _, err := conn.Write(block); err != nil {
			return sent, err
		}
		sent.Write(block)
	}
	return sent, conn.CloseWrite()
}

// Receive reads a stream to its end.
func Receive(r io.Reader) (got Sum, err error) {
	// CopyBuffer uses the buffer only where the reader's own WriteTo, whose
	// buffer is small, is out of sight.
	_, err = io.CopyBuffer(&got, struct{ io.Reader }{r}, make([]byte, blockSize))
	return got, err
}
