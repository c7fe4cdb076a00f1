package params

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestModprobeOptions(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"\n \t\n# options muennet name=a\n  # b\n", nil},
		{"options muennet name=net0 in=a", []string{"name=net0", "in=a"}},
		{"\toptions\t muennet   name=net0\r\n", []string{"name=net0"}},
		{"options muennet name=a\noptions other name=b\noptions muennet in=c\n", []string{"name=a", "in=c"}},
		{"options muennet2 name=a\noptions muenne name=b\noptions\noptions muennet\n", nil},
		{"options muennet name=a \\\n  in=b \\\n\\\nout=c\n", []string{"name=a", "in=b", "out=c"}},
		{"options muennet name=ne\\\nt0\n", []string{"name=net0"}},
		{"# a comment \\\noptions muennet name=a\noptions muennet name=b", []string{"name=b"}},
		{"options muennet name=a # why\noptions muennet in=b#c", []string{"name=a", "in=b#c"}},
		{`options muennet in="a b" "out=c d" x="" mtu=1"5"00 name="#"`, []string{"in=a b", "out=c d", "x=", "mtu=1500", "name=#"}},
		{`options muennet in=a\|b out=c\\d x=\"y\ z`, []string{"in=a|b", `out=c\d`, `x="y z`}},
		{"options muennet name='a b'", []string{"name='a", "b'"}},
		{"options muennet name=a\\", []string{"name=a\\"}},
		{"alias a b\nblacklist c\ninstall muennet /bin/true; echo\nremove muennet x\nsoftdep muennet pre: tun\nweakdep a b\noptions muennet name=a", []string{"name=a"}},
	} {
		got, err := ModprobeOptions(strings.NewReader(c.text), "muennet")
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q\n got %q, %v\nwant %q", c.text, got, err, c.want)
		}
	}
}

func TestModprobeOptionsErrors(t *testing.T) {
	const known = "want one of alias, blacklist, install, options, remove, softdep, weakdep"
	for text, want := range map[string]string{
		"option muennet name=a":                        `line 1: unknown directive "option": ` + known,
		"# a\\\nb\n\nname=net0":                        `line 4: unknown directive "name=net0": ` + known,
		"options muennet \\\n name=a\noptions x \"y\n": "line 3: a double quote is not closed",
		"options muennet in=\"a\\\n":                   "line 1: a double quote is not closed",
	} {
		got, err := ModprobeOptions(strings.NewReader(text), "muennet")
		if got != nil || err == nil || err.Error() != want {
			t.Errorf("%q\n got %q, %v\nwant %s", text, got, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := ModprobeOptions(iotest.ErrReader(broken), "muennet"); !errors.Is(err, broken) {
		t.Errorf("%v, want the reader's error", err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.conf"), filepath.Join(dir, "bad.conf")
	if err := errors.Join(
		os.WriteFile(good, []byte("options muennet "+strings.Join(lines[:1], "\n")+"\n"), 0o600),
		os.WriteFile(bad, []byte("\noptions x \""), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(good); err != nil || !reflect.DeepEqual(got, strings.Fields(lines[0])) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadFile(bad); err == nil || err.Error() != "read options "+bad+": line 2: a double quote is not closed" {
		t.Errorf("%v", err)
	}
	_, err := ReadFile(dir + "/none")
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "read options: open "+dir+"/none: no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestModinfo(t *testing.T) {
	var out bytes.Buffer
	if err := Modinfo(&out, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := []string{
		"name:           muennet",
		"description:    Network interfaces over one-way shared-memory channels (SHMStream version 2)",
		"license:        Apache-2.0",
		"version:        1.2.3",
	}
	if len(got) < len(want) || !reflect.DeepEqual(got[:len(want)], want) {
		t.Fatalf("it begins\n%s", strings.Join(got, "\n"))
	}
	parms := got[len(want):]
	all := Parameters()
	if len(parms) != len(all) {
		t.Fatalf("%d parm lines for %d parameters", len(parms), len(all))
	}
	for i, p := range all {
		if p.Name == "" || p.Description == "" || p.Type != list && p.Type != number && p.Type != size {
			t.Errorf("parameter %+v", p)
		}
		if want := "parm:           " + p.Name + ":" + p.Description + " (" + p.Type + ")"; parms[i] != want {
			t.Errorf("%q, want %q", parms[i], want)
		}
	}
	if want := "parm:           mtu:MTUs in bytes, decimal (default 1500) (array of charp)"; parms[5] != want {
		t.Errorf("%q, want %q", parms[5], want)
	}
	if err := Modinfo(failingWriter{}, ""); !errors.Is(err, errFull) {
		t.Errorf("%v, want the writer's error", err)
	}
}

var errFull = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }
