package region

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What happens to a file, step by step, as seen by its readers and its writer.
func TestLook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "channels")
	path := filepath.Join(dir, "c")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(Create(dir, "c", 8192, DefaultMode))
	r, w, part := open(t, path, ReadOnly), open(t, path, ReadWrite), open(t, path+"@0+4096", ReadOnly)
	look := func(when string, reader, writer, window error) {
		t.Helper()
		for who, c := range map[string]struct{ got, want error }{"reader": {r.Look(), reader}, "writer": {w.Look(), writer}, "window": {part.Look(), window}} {
			if !errors.Is(c.got, c.want) || (c.got == nil) != (c.want == nil) {
				t.Errorf("%s: the %s sees %v, want %v", when, who, c.got, c.want)
			}
		}
	}
	look("nothing happened", nil, nil, nil)
	must(os.Truncate(path, 4096))
	look("half as long", ErrShrank, ErrShrank, nil)
	must(os.Truncate(path, 16384))
	look("twice as long", ErrReplaced, nil, nil)
	must(os.Truncate(path, 8192))
	look("as before", nil, nil, nil)
	must(os.Rename(path, path+".old"))
	look("another name", ErrUnlinked, ErrUnlinked, ErrUnlinked)
	wantError(t, w.Look(), "", "its file was removed")
	must(Create(dir, "c", 8192, DefaultMode))
	look("another file", ErrReplaced, ErrReplaced, ErrReplaced)
	must(os.Rename(path+".old", path))
	look("its name again", nil, nil, nil)
	must(os.RemoveAll(dir))
	look("no directory", ErrUnlinked, ErrUnlinked, ErrUnlinked)
	wantError(t, w.Look(), "", "its file was removed: its directory is gone")
	must(os.WriteFile(dir, nil, 0o600))
	look("a file for a directory", ErrUnlinked, ErrUnlinked, ErrUnlinked)
	for _, region := range []*Region{r, w, part} {
		must(region.Close())
	}
	look("closed", os.ErrClosed, os.ErrClosed, os.ErrClosed)
}
