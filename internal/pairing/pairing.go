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

// The ends of the names of a pair.
const (
	suffixIn  = "|in"
	suffixOut = "|out"
)

// ErrNone says that a directory holds no pair of channels.
var ErrNone = errors.New("no X|in with an X|out beside it that can be used")

// Pair is two channels that make a link, from our side of it.
type Pair struct {
	// Name is the X of X|in and X|out.
	Name string
	// In is the channel to read, Out the one to write.
	In, Out region.Info
}

// Skipped is a name with which nothing can be done.
type Skipped struct {
	// Name is the X of X|in and X|out; any bytes a file name may have.
	Name string
	// Reason is what is wrong with it, a few words.
	Reason string
}

// String names it, in quotes where the name would spoil a line, and says why.
func (s Skipped) String() string {
	name := s.Name
	if q := strconv.Quote(name); name == "" || q[1:len(q)-1] != name {
		name = q
	}
	return name + ": " + s.Reason
}

// Join puts all of them into one line.
func Join(skipped []Skipped) string {
	all := make([]string, len(skipped))
	for i, s := range skipped {
		all[i] = s.String()
	}
	return strings.Join(all, "; ")
}

// Set is what a directory holds.
type Set struct {
	Pairs   []Pair    // in alphabetical order of Name, by bytes
	Skipped []Skipped // likewise
}

// Find looks through a directory. No pair is an error that wraps ErrNone, names
// the directory and everything that was skipped; the Set then holds the latter.
// Other errors are those of [region.List]: a missing directory is
// [fs.ErrNotExist].
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

// unlisted is the error for a directory that cannot be listed. One that nobody
// has named is missing where a muenfs was expected, more often than not.
func unlisted(dir, standard string, err error) error {
	if dir == standard && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pair channels: %w; nor is a muenfs mounted on /muenfs", err)
	}
	return fmt.Errorf("pair channels: %w", err)
}

// Of pairs the channels of a directory. Those whose names have neither ending
// are none of its business.
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

// pair tells which of two channels is read; one of them may be nil.
func pair(x string, in, out *region.Info) (Pair, error) {
	switch {
	case in == nil:
		return Pair{}, fmt.Errorf("half a pair: there is no file %s of that name, only %s", suffixIn, suffixOut)
	case out == nil:
		return Pair{}, fmt.Errorf("half a pair: there is no file %s of that name, only %s", suffixOut, suffixIn)
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

// writable tells whether a mode lets anybody write.
func writable(m os.FileMode) bool { return m&0o222 != 0 }
