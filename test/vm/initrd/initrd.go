// Package initrd writes the archive that a kernel unpacks into its first file
// system: cpio in its "newc" form, as Documentation/driver-api/early-userspace/
// buffer-format.rst of Linux describes it.
//
// It is not a general cpio: there are files, directories and character devices,
// all root's, with no time. The same files make the same bytes. Nothing of it
// needs root. A Writer is for one goroutine.
//
//	w := initrd.New(file)
//	w.File("init", 0o755, program)
//	err := w.Close()
package initrd

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// The kinds of entries, as in st_mode.
const (
	directory = 0o040000
	character = 0o020000
	regular   = 0o100000
)

// Writer writes one archive. After an error all further calls do nothing, and
// Close returns it.
type Writer struct {
	w     io.Writer
	inode int
	made  map[string]bool // directories
	err   error
}

// New returns a Writer to w, which stays the caller's.
func New(w io.Writer) *Writer {
	return &Writer{w: w, made: map[string]bool{".": true}}
}

// File adds a file with permission bits mode. Its name is relative to the root,
// with slashes; directories on the way to it are added if need be.
func (w *Writer) File(name string, mode uint32, data []byte) {
	w.Directory(path.Dir(name))
	w.entry(name, regular|mode&0o7777, 0, 0, data)
}

// Directory adds a directory, and those it lies in, unless they are there.
func (w *Writer) Directory(name string) {
	name = path.Clean(name)
	if w.made[name] {
		return
	}
	w.made[name] = true
	w.Directory(path.Dir(name))
	w.entry(name, directory|0o755, 0, 0, nil)
}

// Character adds a character device, root's only.
func (w *Writer) Character(name string, major, minor uint32) {
	w.Directory(path.Dir(name))
	w.entry(name, character|0o600, major, minor, nil)
}

// Close ends the archive and returns the first error there was.
func (w *Writer) Close() error {
	w.entry("TRAILER!!!", 0, 0, 0, nil)
	if w.err != nil {
		return fmt.Errorf("write initrd: %w", w.err)
	}
	return nil
}

// entry writes a header, the name and the data:
//
//	offset  size  field, all but the first in hexadecimal
//	0       6     magic, 070701
//	6       8     inode
//	14      8     mode
//	22      8     uid
//	30      8     gid
//	38      8     links
//	46      8     modification time
//	54      8     bytes of data
//	62      16    device: major, minor
//	78      16    device that a special file stands for: major, minor
//	94      8     bytes of the name, with its NUL
//	102     8     checksum, 0
//	110           name, NULs up to a multiple of 4; data, NULs up to a multiple of 4
func (w *Writer) entry(name string, mode, major, minor uint32, data []byte) {
	if w.err != nil {
		return
	}
	if strings.HasPrefix(name, "/") || name == "" {
		w.err = fmt.Errorf("name %q: want one relative to the root", name)
		return
	}
	w.inode++
	links := 1
	if mode&directory == directory {
		links = 2
	}
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		w.inode, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	w.padded([]byte(header + name + "\x00"))
	w.padded(data)
}

func (w *Writer) padded(p []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(p)
	}
	if rest := -len(p) & 3; rest > 0 && w.err == nil {
		_, w.err = w.w.Write(make([]byte, rest))
	}
}
