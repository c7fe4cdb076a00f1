package pairing

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
)

// infos parses "NAME MODE" lines into the content of a directory.
func infos(lines ...string) (all []region.Info) {
	modes := map[string]os.FileMode{"0600": 0o600, "0400": 0o400, "0644": 0o644, "0444": 0o444, "0460": 0o460, "0000": 0}
	for _, l := range lines {
		name, mode, ok := strings.Cut(l, "\t")
		m, known := modes[mode]
		if !ok || !known {
			panic(l)
		}
		all = append(all, region.Info{Name: name, Size: 4096, Mode: m})
	}
	return all
}

// words formats a set as "X in out" and "X reason" lines.
func words(s Set) (pairs, skipped []string) {
	for _, p := range s.Pairs {
		pairs = append(pairs, p.Name+" "+p.In.Name+" "+p.Out.Name)
	}
	for _, k := range s.Skipped {
		skipped = append(skipped, k.String())
	}
	return pairs, skipped
}

func TestOf(t *testing.T) {
	const (
		noIn  = ": half a pair: |out without |in"
		noOut = ": half a pair: |in without |out"
	)
	for _, c := range []struct {
		what           string
		files          []region.Info
		pairs, skipped []string
	}{
		{"nothing", nil, nil, nil},
		{"channels that are not a pair", infos("a\t0600", "in\t0600", "out\t0600", "a|inn\t0600", "|outa\t0600", "a|IN\t0600", "a|OUT\t0600"), nil, nil},
		{"both writable: the suffixes, from the peer's view", infos("a|in\t0600", "a|out\t0600"), []string{"a a|out a|in"}, nil},
		{"modes that agree", infos("a|in\t0600", "a|out\t0400"), []string{"a a|out a|in"}, nil},
		{"modes against the suffixes", infos("a|in\t0400", "a|out\t0600"), []string{"a a|in a|out"}, nil},
		{"any write bit counts", infos("a|in\t0444", "a|out\t0460", "b|in\t0644", "b|out\t0444"), []string{"a a|in a|out", "b b|out b|in"}, nil},
		{"nothing to write", infos("a|in\t0400", "a|out\t0444", "b|in\t0000", "b|out\t0000", "c|in\t0600", "c|out\t0600"), []string{"c c|out c|in"},
			[]string{"a: both are read-only, modes 0400 and 0444: nothing to write", "b: both are read-only, modes 0000 and 0000: nothing to write"}},
		{"halves", infos("a|in\t0600", "b|out\t0400", "c|in\t0600", "c|out\t0600"), []string{"c c|out c|in"}, []string{"a" + noOut, "b" + noIn}},
		// '|' sorts after letters, '-' and digits: the order of files
		// is not that of pairs.
		{"order", infos("a-b|in\t0600", "a-b|out\t0600", "a10|in\t0600", "a10|out\t0600", "a2|in\t0600", "a2|out\t0600", "a|in\t0600", "a|out\t0600", "B|in\t0600", "B|out\t0600"),
			[]string{"B B|out B|in", "a a|out a|in", "a-b a-b|out a-b|in", "a10 a10|out a10|in", "a2 a2|out a2|in"}, nil},
		{"the last suffix counts", infos("a|in\t0600", "a|in|in\t0600", "a|in|out\t0600"), []string{"a|in a|in|out a|in|in"}, []string{"a" + noOut}},
		{"an empty X", infos("|in\t0600", "|out\t0600"), []string{" |out |in"}, nil},
		{"names that no parameter can contain", infos("a@0+64|in\t0600", "a@0+64|out\t0600", "b,c|in\t0600", "b,c|out\t0600", "d e|in\t0600", "d e|out\t0600",
			"f\n|in\t0600", "f\n|out\t0600", "\xff|in\t0600", "\xff|out\t0600"), nil,
			[]string{"a@0+64: the name contains '@': want no '@', no comma, no white space", "b,c: the name contains ',': want no '@', no comma, no white space",
				"d e: the name contains ' ': want no '@', no comma, no white space", `"f\n": the name contains '\n': want no '@', no comma, no white space`,
				`"\xff": the name is not UTF-8`}},
		{"such a half", infos(",|in\t0600"), nil, []string{"," + noOut}},
	} {
		pairs, skipped := words(Of(c.files))
		if !slices.Equal(pairs, c.pairs) || !slices.Equal(skipped, c.skipped) {
			t.Errorf("%s: pairs %q, skipped %q\nwant  %q, %q", c.what, pairs, skipped, c.pairs, c.skipped)
		}
	}
}

// The order of the directory does not matter, and sizes are kept.
func TestOfAnyOrder(t *testing.T) {
	files := infos("b|out\t0600", "a|out\t0400", "b|in\t0600", "a|in\t0600")
	files[1].Size = 64
	for range files {
		files = append(files[1:], files[0])
		s := Of(files)
		if pairs, _ := words(s); !slices.Equal(pairs, []string{"a a|out a|in", "b b|out b|in"}) {
			t.Fatalf("pairs %q", pairs)
		}
		if a := s.Pairs[0]; a.In.Size != 64 || a.In.Mode != 0o400 || a.Out.Size != 4096 || a.Out.Mode != 0o600 {
			t.Errorf("%+v", a)
		}
	}
}

// A parameter that begins like this is a device, not a file of that name.
func TestOfDeviceName(t *testing.T) {
	pairs, skipped := words(Of(infos("pci:0000:00:04.0|in\t0600", "pci:0000:00:04.0|out\t0600")))
	if len(pairs) > 0 || len(skipped) != 1 || !strings.HasPrefix(skipped[0], "pci:0000:00:04.0: ") || len(skipped[0]) < 25 {
		t.Errorf("pairs %q, skipped %q", pairs, skipped)
	}
}

func TestFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "channels")
	if _, err := Find(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("without a directory: %v", err)
	}
	create := func(name string, mode os.FileMode) {
		t.Helper()
		if err := region.Create(dir, name, 4096, mode); err != nil {
			t.Fatal(err)
		}
	}
	create("other", 0o600)
	_, err := Find(dir)
	if want := "pair channels in " + dir + ": no usable pair of X|in and X|out"; !errors.Is(err, ErrNone) || err.Error() != want {
		t.Errorf("without a pair: %v, want %s", err, want)
	}
	create("a|in", 0o600)
	// Only regular files are channels.
	if err := os.Mkdir(filepath.Join(dir, "a|out"), 0o755); err != nil {
		t.Fatal(err)
	}
	create("b|in", 0o400)
	create("b|out", 0o400)
	set, err := Find(dir)
	if want := "; skipped: a: half a pair: |in without |out; b: both are read-only, modes 0400 and 0400: nothing to write"; !errors.Is(err, ErrNone) || !strings.HasSuffix(err.Error(), want) || len(set.Skipped) != 2 {
		t.Errorf("nothing but halves: %v, %+v", err, set)
	}
	create("c|in", 0o400)
	create("c|out", 0o600)
	set, err = Find(dir)
	if pairs, skipped := words(set); err != nil || !slices.Equal(pairs, []string{"c c|in c|out"}) || len(skipped) != 2 {
		t.Errorf("pairs %q, skipped %q, %v", pairs, skipped, err)
	}
}

func TestUnlisted(t *testing.T) {
	gone, other := fs.ErrNotExist, errors.New("x")
	for _, c := range []struct {
		dir  string
		err  error
		want string
	}{
		{"/std", gone, "pair channels: file does not exist, and no muenfs is mounted on /muenfs"},
		{"/else", gone, "pair channels: file does not exist"},
		{"/std", other, "pair channels: x"},
	} {
		if err := unlisted(c.dir, "/std", c.err); err.Error() != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s, %v: %v", c.dir, c.err, err)
		}
	}
}
