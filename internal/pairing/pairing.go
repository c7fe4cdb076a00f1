package pairing

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/internal/region"
)

// The suffixes of the names of a pair.
const (
	suffixIn  = "|in"
	suffixOut = "|out"
)

// ErrNone says that a directory holds no usable pair of channels.
var ErrNone = errors.New("no usable pair of X|in and X|out")

// Pair is the two channels of a link, from our side.
type Pair struct {
	// Name is the X of X|in and X|out.
	Name string
	// In is the channel to read, Out the one to write.
	In, Out region.Info
}

// Skipped is a name that cannot be used.
type Skipped struct {
	// Name is the X of X|in and X|out; any bytes a file name may have.
	Name string
	// Reason says in a few words what is wrong.
	Reason string
}

// String returns the name, quoted if it would break the line, and the reason.
func (s Skipped) String() string {
	name := s.Name
	if q := strconv.Quote(name); name == "" || q[1:len(q)-1] != name {
		name = q
	}
	return name + ": " + s.Reason
}

// Join returns all of them in one line.
func Join(skipped []Skipped) string {
	all := make([]string, len(skipped))
	for i, s := range skipped {
		all[i] = s.String()
	}
	return strings.Join(all, "; ")
}

// Set is the content of a directory.
type Set struct {
	Pairs   []Pair    // in alphabetical order of Name, by bytes
	Skipped []Skipped // likewise
}

// Find pairs the channels in a directory. If there is no pair, it returns an
// error that wraps ErrNone and names the directory and everything skipped,
// together with a Set that lists the skipped names. Other errors are those of
// [region.List]; a missing directory is [fs.ErrNotExist].
func Find(dir string) (Set, error) {
	infos, err := region.List(dir)
	if err != nil {
		return Set{}, unlisted(dir, region.DefaultDir(), err)
	}
	set := Of(infos)
	if len(set.Pairs) > 0 {
		return set, nil
	}
	if len(set.Skipped) > 0 {
		return set, fmt.Errorf("pair channels in %s: %w; skipped: %s", dir, ErrNone, Join(set.Skipped))
	}
	return set, fmt.Errorf("pair channels in %s: %w", dir, ErrNone)
}

// unlisted returns the error for a directory that cannot be listed. If the
// default directory is missing, the cause is most likely a missing muenfs.
func unlisted(dir, standard string, err error) error {
	if dir == standard && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pair channels: %w, and no muenfs is mounted on /muenfs", err)
	}
	return fmt.Errorf("pair channels: %w", err)
}

// Of pairs the channels of a directory. It ignores channels with neither
// suffix.
func Of(infos []region.Info) Set {
	type half struct{ in, out *region.Info }
	halves := make(map[string]half)
	for i := range infos {
		if x, ok := strings.CutSuffix(infos[i].Name, suffixIn); ok {
			h := halves[x]
			h.in = &infos[i]
			halves[x] = h
		} else if x, ok := strings.CutSuffix(infos[i].Name, suffixOut); ok {
			h := halves[x]
			h.out = &infos[i]
			halves[x] = h
		}
	}
	var set Set
	for _, x := range slices.Sorted(maps.Keys(halves)) {
		p, err := pair(x, halves[x].in, halves[x].out)
		if err != nil {
			set.Skipped = append(set.Skipped, Skipped{Name: x, Reason: err.Error()})
			continue
		}
		set.Pairs = append(set.Pairs, p)
	}
	return set
}

// pair decides which of two channels is read. One of them may be nil.
func pair(x string, in, out *region.Info) (Pair, error) {
	switch {
	case in == nil:
		return Pair{}, fmt.Errorf("half a pair: %s without %s", suffixOut, suffixIn)
	case out == nil:
		return Pair{}, fmt.Errorf("half a pair: %s without %s", suffixIn, suffixOut)
	}
	for _, c := range []*region.Info{in, out} {
		if err := names.CheckNewFile(c.Name); err != nil {
			return Pair{}, err
		}
	}
	switch {
	case writable(out.Mode) && !writable(in.Mode):
		return Pair{Name: x, In: *in, Out: *out}, nil
	case !writable(in.Mode):
		return Pair{}, fmt.Errorf("both are read-only, modes %04o and %04o: nothing to write", in.Mode.Perm(), out.Mode.Perm())
	}
	return Pair{Name: x, In: *out, Out: *in}, nil
}

// writable reports whether a mode allows anyone to write.
func writable(m os.FileMode) bool { return m&0o222 != 0 }
