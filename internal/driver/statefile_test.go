package driver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	s := stateFile{path: filepath.Join(dir, "state")}
	if got, err := s.read(); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	want := []parentRecord{
		{deviceRecord: deviceRecord{Alias: "muennet in=a out=b", Index: 7, NetNS: 1<<63 + 1}, Children: []childRecord{
			{deviceRecord: deviceRecord{Alias: "muennet child=c of in=a out=b", Index: 8, NetNS: 2}, Marks: []uint32{1, 1<<32 - 1}},
			{deviceRecord: deviceRecord{Alias: "muennet child=d of in=a out=b", Index: 9, NetNS: 3}},
		}},
		{deviceRecord: deviceRecord{Alias: `muennet in="\ü out=`, Index: 1<<31 - 1}},
	}
	for _, records := range [][]parentRecord{want, want[:1]} {
		if err := s.write(records); err != nil {
			t.Fatal(err)
		}
		got, err := s.read()
		if err != nil || !reflect.DeepEqual(got, records) {
			t.Errorf("read %v, %v; want %v", got, err, records)
		}
	}
	for range 2 { // the second time there is none to remove
		if err := s.write(nil); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStateFileWithoutPath(t *testing.T) {
	if got, err := new(stateFile).read(); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDamagedStateFileIsNamed(t *testing.T) {
	s := stateFile{path: filepath.Join(t.TempDir(), "state")}
	for _, text := range []string{"", "{", `{"boot":1}`, `[{"alias":"x"}]`, `{"interfaces":[{"ifindex":"x"}]}`, "\x00\xff"} {
		if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.read(); got != nil || err == nil || !strings.Contains(err.Error(), s.path) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if err := s.write([]parentRecord{{deviceRecord: deviceRecord{Alias: "x", Index: 1}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.read(); len(got) != 1 || err != nil {
		t.Errorf("after it was written again: %v, %v", got, err)
	}
}

func TestStateFileThatCannotBeWritten(t *testing.T) {
	s := stateFile{path: filepath.Join(t.TempDir(), "missing", "state")}
	if err := s.write([]parentRecord{{deviceRecord: deviceRecord{Alias: "x"}}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
