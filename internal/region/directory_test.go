package region

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user without a name.
const stranger = 54321

// asDefault makes path the default channel directory until the test ends.
func asDefault(t *testing.T, path string) {
	t.Helper()
	before := plainDir
	plainDir = path
	t.Cleanup(func() { plainDir = before })
}

// asRoot skips the test if files cannot be given to other users.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives files to other users")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// openToAll makes a directory that other users can enter, unlike t.TempDir's.
func openToAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "region")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// use uses a channel in every way and returns the errors.
func use(dir, spec string) map[string]error {
	name, _, _ := strings.Cut(spec, "@")
	errs := map[string]error{}
	for how, access := range map[string]Access{"read": ReadOnly, "write": ReadWrite, "inspect": Inspect, "overwrite": Overwrite} {
		for _, s := range []string{spec, filepath.Join(dir, spec)} {
			r, err := Open(dir, s, access)
			if r != nil {
				r.Close()
			}
			errs[how+" "+s] = err
		}
	}
	_, errs["list"] = List(dir)
	errs["create"] = Create(dir, name+"2", 64, DefaultMode)
	errs["create absolute"] = Create("/nowhere", filepath.Join(dir, name+"3"), 64, DefaultMode)
	return errs
}

// In the default directory no other user may be able to replace a channel.
func TestDefaultDirectory(t *testing.T) {
	asRoot(t)
	for _, c := range []struct {
		name     string
		uid, gid int
		mode     uint32
		want     string // in each error; %DIR is the directory
	}{
		{"root's", 0, 0, 0o755, ""},
		{"sticky for all", 0, 0, 0o1777, ""},
		{"sticky for a group", 0, stranger, 0o1775, ""},
		{"for root's group", 0, 0, 0o775, ""},
		{"other user", stranger, 0, 0o755, "%DIR belongs to user 54321, who can replace every channel in it: want it owned by root or by the user of this process; remove it, or name another directory with --channels"},
		{"other user with sticky bit", stranger, 0, 0o1777, "%DIR belongs to user 54321, who"},
		{"for all", 0, 0, 0o777, "%DIR has mode 0777, so other users can replace every channel in it; to fix it: chmod go-w %DIR"},
		{"for a group", 0, stranger, 0o775, "%DIR has mode 0775, so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "muennet")
			must(t, Create(dir, "c", 4096, DefaultMode), os.Chown(dir, c.uid, c.gid), unix.Chmod(dir, c.mode))
			asDefault(t, dir)
			before := descriptors(t)
			for how, err := range use(dir, "c@0+64") {
				want := strings.ReplaceAll(c.want, "%DIR", dir)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: error %v, want %q", how, err, want)
				}
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d open files afterwards, %d before", after, before)
			}
		})
	}
}

// A directory that was named explicitly is used as it is.
func TestNamedDirectory(t *testing.T) {
	asRoot(t)
	dir, path := file(t, 4096)
	must(t, os.Chown(path, stranger, stranger), unix.Chmod(dir, 0o777))
	for how, err := range use(dir, "c") {
		if err != nil {
			t.Errorf("mode 0777: %s: %v", how, err)
		}
	}
	must(t, os.Chown(dir, stranger, stranger))
	for _, access := range []Access{ReadOnly, ReadWrite} {
		r := open(t, path, access)
		if !r.Foreign() || r.Owner() != "54321" {
			t.Errorf("owner %s, foreign %v", r.Owner(), r.Foreign())
		}
	}
	if infos, err := List(dir); err != nil || len(infos) != 3 {
		t.Errorf("list: %v, %v", infos, err)
	}
	// Creating a channel there would hand it over.
	const want = " belongs to user 54321, who could replace the channel: want it owned by root or by the user of this process, or create the channel as that user"
	wantError(t, Create(dir, "new", 64, DefaultMode), dir, "create channel new: %DIR"+want)
	wantError(t, Create("/nowhere", dir+"/new", 64, DefaultMode), dir, "create channel %DIR/new: %DIR"+want)
	// The same goes for a directory behind such a user's link.
	own, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(own, link), os.Lchown(link, stranger, stranger))
	wantError(t, Create(link, "new", 64, DefaultMode), link, "create channel new: %DIR"+want)
	must(t, os.Lchown(link, 0, 0))
	if err := Create(link, "new", 64, DefaultMode); err != nil {
		t.Errorf("by a link of root's: %v", err)
	}
}

// In a sticky default directory any user can create files, so their owner
// matters.
func TestDefaultDirectoryOwners(t *testing.T) {
	asRoot(t)
	dir, path := file(t, 4096)
	must(t, unix.Chmod(dir, 0o1777), os.Chown(path, stranger, 0))
	asDefault(t, dir)
	for _, access := range []Access{ReadOnly, ReadWrite, Inspect, Overwrite} {
		_, err := Open(dir, "c", access)
		wantError(t, err, dir, "open channel c: %DIR/c belongs to user 54321: in %DIR a channel belongs to root or to the user of this process; remove it, or use another directory")
	}
	must(t, os.Chown(path, 0, 0))
	if r := open(t, path, ReadWrite); r.Foreign() || r.Owner() != "root" {
		t.Errorf("owner %s, foreign %v", r.Owner(), r.Foreign())
	}
}

// Our own files are ours, whatever user we are: the helper is not root.
func TestOwnDirectory(t *testing.T) {
	asRoot(t)
	dir := filepath.Join(openToAll(t), "muennet")
	must(t, Create(dir, "c", 4096, DefaultMode), os.Chown(dir, 65534, 65534), os.Chown(dir+"/c", 65534, 65534))
	for _, c := range []struct{ channel, directory, want string }{
		{"c", dir, "<nil>"},
		{"r", dir, "<nil>"},
		{"s", dir, "belongs to user 54321"},
	} {
		path := filepath.Join(dir, c.channel)
		if c.channel != "c" {
			must(t, os.WriteFile(path, make([]byte, 64), 0o666), os.Chmod(path, 0o666))
		}
		if c.channel == "s" {
			must(t, os.Chown(path, stranger, stranger))
		}
		if got := run(t, "open", path, "rw", dir); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.channel, got, c.want)
		}
	}
	must(t, os.Chown(dir, stranger, stranger))
	if got := run(t, "open", dir+"/c", "rw", dir); !strings.Contains(got, "belongs to user 54321, who can replace") {
		t.Errorf("in another user's directory: %s", got)
	}
}

// Symbolic links are not followed, neither for the file nor for the default
// directory.
func TestSymbolicLinks(t *testing.T) {
	dir, path := file(t, 4096)
	other, _ := file(t, 4096)
	must(t,
		os.Symlink(other+"/c", dir+"/out"), os.Symlink("c", dir+"/in"), os.Symlink("nowhere", dir+"/nowhere"),
		os.Symlink(dir, other+"/dir"))
	before := descriptors(t)
	for _, name := range []string{"out", "in", "nowhere", "out@0+64"} {
		for _, access := range []Access{ReadOnly, ReadWrite, Inspect, Overwrite} {
			_, err := Open(dir, name, access)
			wantError(t, err, dir, "open channel "+name+": it is a symbolic link: want a regular file")
			_, err = Open("/nowhere", filepath.Join(dir, name), access)
			wantError(t, err, dir, "open channel %DIR/"+name+": it is a symbolic link: want a regular file")
		}
	}
	for _, name := range []string{"out", "nowhere", dir + "/nowhere"} {
		if err := Create(dir, name, 64, DefaultMode); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create %s: %v", name, err)
		}
	}
	if _, err := os.Lstat(dir + "/../nowhere"); err == nil {
		t.Error("a file was created through a link")
	}
	// An explicitly named directory may be a link.
	open(t, other+"/dir/c", ReadWrite).Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
	asDefault(t, other+"/dir")
	for how, err := range use(plainDir, "c") {
		if err == nil || !strings.Contains(err.Error(), plainDir+" is a symbolic link of user ") {
			t.Errorf("default directory is a link, %s: %v", how, err)
		}
	}
	if infos, err := List(filepath.Dir(path)); err != nil || len(infos) != 1 {
		t.Errorf("list: %v, %v", infos, err)
	}
}

// Owners without a number in our user namespace cannot act in it: in a rootless
// container the directories of the host belong to the user nobody.
func TestUnmapped(t *testing.T) {
	asRoot(t)
	dir := openToAll(t)
	const nobody = 65534 // how owners without a number appear
	for _, owner := range []int{nobody, stranger} {
		must(t, os.Chown(dir, owner, owner), os.Chmod(dir, 0o777))
		if got := run(t, "create", dir, "a"); !strings.Contains(got, "who could replace the channel") {
			t.Errorf("owner with the number %d: %s", owner, got)
		}
	}
	inside := helper("create", dir, "b")
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	out, err := inside.Output()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) {
		t.Skipf("needs user namespaces: %v", err)
	}
	if err != nil || string(out) != "<nil>\n" {
		t.Errorf("owner without a number: %s, %v", out, err)
	}
}
