package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
)

// helperEnv makes the test binary a client that does what the variable says
// and prints what came of it.
const helperEnv = "MUENNET_TEST_CLIENT"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		helper(what)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func helper(what string) {
	word, path, _ := strings.Cut(what, " ")
	if word == "hold" {
		fmt.Println(hold(path, maxConns+1))
		io.Copy(io.Discard, os.Stdin) // until the test lets go
		return
	}
	c := client.New(path)
	ctx := context.Background()
	var err error
	switch word {
	case "get":
		_, err = c.Interfaces(ctx)
	case "load":
		_, err = c.Load(ctx, api.LoadRequest{Parameters: goodParameters})
	case "path":
		_, err = c.Load(ctx, api.LoadRequest{Parameters: []string{"name=net0", "in=/etc/passwd", "reader_protocol=1"}})
	case "child":
		err = c.AddChild(ctx, "net0", "child0")
	case "mark":
		err = c.AddMark(ctx, "child0", 7)
	case "unmark":
		err = c.DeleteMark(ctx, "child0", 7)
	case "unchild":
		err = c.DeleteChild(ctx, "child0")
	case "unload":
		err = c.UnloadAll(ctx)
	case "shutdown":
		err = shutdown(path)
	}
	var refused *client.Error
	switch {
	case err == nil:
		fmt.Print("ok")
	case errors.As(err, &refused):
		fmt.Printf("%d %s", refused.Status, refused.Message)
	case errors.Is(err, fs.ErrPermission):
		fmt.Printf("permission: %v", err)
	default:
		fmt.Printf("error: %v", err)
	}
}

// shutdown asks for the end without waiting for the process, which is the test.
func shutdown(path string) error {
	h := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		c, err := net.Dial("unix", path)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("open control socket %s: %w", path, err)
		}
		return c, err
	}}}
	resp, err := h.Post("http://muennet"+api.PathShutdown, "application/json", nil)
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	defer resp.Body.Close()
	var e api.Error
	if resp.StatusCode != http.StatusNoContent {
		err = json.NewDecoder(resp.Body).Decode(&e)
		return errors.Join(err, &client.Error{Status: resp.StatusCode, Message: e.Error})
	}
	return nil
}

var goodParameters = []string{"name=net0", "in=a", "out=b", "reader_protocol=1", "writer_protocol=2"}

// asCommand is the helper with other credentials.
func asCommand(cred syscall.Credential, what, path string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// With the race detector an exit takes a second, unless it is told not to.
	cmd.Env = append(os.Environ(), helperEnv+"="+what+" "+path, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
	cmd.Stderr = os.Stderr
	return cmd
}

// as runs the helper with other credentials.
func as(t *testing.T, cred syscall.Credential, what, path string) string {
	t.Helper()
	out, err := asCommand(cred, what, path).Output()
	if err != nil {
		t.Fatalf("helper as %+v: %v", cred, err)
	}
	return string(out)
}

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: starts processes with other credentials")
	}
}

const nobody = 65534

// many is a group list longer than the first guess of callerGroups.
func many(last uint32) []uint32 {
	var g []uint32
	for i := range uint32(40) {
		g = append(g, 5000+i)
	}
	return append(g, last)
}

func TestAccess(t *testing.T) {
	needRoot(t)
	const group = 4711
	for _, tc := range []struct {
		name   string
		group  string // --control-group
		mode   os.FileMode
		cred   syscall.Credential
		read   bool // may connect and look
		change bool
	}{
		{"root", "", 0o660, syscall.Credential{}, true, true},
		{"stranger at the door", "4711", 0o660, syscall.Credential{Uid: nobody, Gid: nobody}, false, false},
		{"stranger inside", "4711", 0o666, syscall.Credential{Uid: nobody, Gid: nobody}, true, false},
		{"stranger inside, no group set", "", 0o666, syscall.Credential{Uid: nobody, Gid: nobody}, true, false},
		{"group of root is not enough", "", 0o660, syscall.Credential{Uid: nobody, Gid: 0}, true, false},
		{"gid", "4711", 0o660, syscall.Credential{Uid: nobody, Gid: group}, true, true},
		{"supplementary", "4711", 0o660, syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{17, group}}, true, true},
		{"last of many", "4711", 0o660, syscall.Credential{Uid: nobody, Gid: nobody, Groups: many(group)}, true, true},
		{"many others", "4711", 0o666, syscall.Credential{Uid: nobody, Gid: nobody, Groups: many(group + 1)}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := start(t, openDir(t), tc.group)
			if err := os.Chmod(d.path, tc.mode); err != nil {
				t.Fatal(err)
			}
			for _, what := range []string{"get", "load", "path", "child", "mark", "unmark", "unchild", "unload", "shutdown"} {
				want := "ok"
				if !tc.change && what != "get" {
					want = fmt.Sprintf("403 not allowed: uid %d may only read; root", tc.cred.Uid)
				}
				if what == "path" && tc.change && tc.cred.Uid != 0 {
					want = "403 load: interface net0: in=/etc/passwd: not allowed: "
				}
				if !tc.read {
					want = "permission: open control socket " + d.path
				}
				if got := as(t, tc.cred, what, d.path); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q, want %q...", what, got, want)
				}
			}
			closed := 0
			if tc.change {
				closed = 1
			}
			if d.net.closed != closed {
				t.Errorf("network closed %d times, want %d", d.net.closed, closed)
			}
			if err := d.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDaemonUID: who runs the daemon may change things though it is not root.
func TestDaemonUID(t *testing.T) {
	me := os.Geteuid()
	if !(caller{uid: me, gid: nobody}).mayChange(noGroup) {
		t.Error("own uid is refused")
	}
	if (caller{uid: me + 1, gid: nobody, groups: []uint32{0}}).mayChange(noGroup) {
		t.Error("another uid is let in without a group")
	}
}

func TestSocketMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "too")
	d := start(t, dir, "")
	for path, want := range map[string]os.FileMode{dir: 0o755 | fs.ModeDir, d.path: 0o660 | fs.ModeSocket} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s: mode %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestSocketGroup(t *testing.T) {
	needRoot(t)
	d := start(t, t.TempDir(), "4711")
	info, err := os.Stat(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 4711 {
		t.Errorf("group of the socket is %d, want 4711", gid)
	}
}

func TestUnknownGroup(t *testing.T) {
	err := run(t.Context(), Config{Control: filepath.Join(t.TempDir(), "s"), Group: "no-such-group"}, nil)
	if err == nil || err.Error() != `control group "no-such-group": no such group` {
		t.Errorf("error %v", err)
	}
}

// TestUnknownPeer: a connection whose credentials are not known may only look.
func TestUnknownPeer(t *testing.T) {
	s := newServer(&fakeNet{names: []string{"net0"}}, api.Version{}, noGroup, quiet())
	w := ask(s, http.MethodDelete, api.PathInterfaces, "")
	if w.Code != http.StatusForbidden || len(s.net.Status()) != 1 {
		t.Errorf("status %d, %d interfaces left", w.Code, len(s.net.Status()))
	}
}
