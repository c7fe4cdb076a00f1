package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
)

// serverEnv makes the test binary a server that answers one shutdown request
// and exits some time later.
const serverEnv = "MUENNET_TEST_SERVER"

func TestMain(m *testing.M) {
	if path := os.Getenv(serverEnv); path != "" {
		slowServer(path)
	}
	os.Exit(m.Run())
}

func slowServer(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
		if !strings.Contains(string(b), "idle") { // otherwise it never exits
			time.AfterFunc(200*time.Millisecond, func() { os.Exit(0) })
		}
	}))
}

// serve answers every request on a socket with f.
func serve(t *testing.T, f http.HandlerFunc) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: f}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	return client.New(path)
}

func TestNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, err := client.New(path).Interfaces(t.Context())
	if !errors.Is(err, client.ErrNotRunning) || err.Error() != "muennet is not running (no socket at "+path+")" {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	err = client.New(path).Shutdown(t.Context(), api.ShutdownRequest{})
	if !errors.Is(err, client.ErrNotRunning) || err.Error() != "muennet is not running (nothing listens at "+path+")" {
		t.Errorf("stale socket: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.New(file + "/s").Version(t.Context()); err == nil || !strings.Contains(err.Error(), file) || errors.Is(err, client.ErrNotRunning) {
		t.Errorf("below a file: %v", err)
	}
}

func TestPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may open every socket")
	}
	dir := t.TempDir()
	l, err := net.Listen("unix", dir+"/s")
	if err == nil {
		defer l.Close()
		err = os.Chmod(dir+"/s", 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.New(dir + "/s").Version(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

// TestRequests checks the request that each method sends.
func TestRequests(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.RequestURI() + " " + string(b)
		switch {
		case r.Method == "DELETE" || r.URL.Path == api.PathShutdown || strings.HasPrefix(r.URL.Path, api.PathChildren):
			w.WriteHeader(http.StatusNoContent)
		case r.Method == "POST":
			io.WriteString(w, `{"interfaces":["net0","net1"]}`)
		case r.URL.Path == api.PathVersion:
			io.WriteString(w, `{"version":"1.2","pid":7}`)
		case r.URL.Path == api.PathInterfaces:
			io.WriteString(w, `[{"name":"x"}]`)
		default:
			io.WriteString(w, `{"name":"y"}`)
		}
	})
	ctx := t.Context()
	check := func(want, result, wantResult string, err error) {
		t.Helper()
		if err != nil || got != want || result != wantResult {
			t.Errorf("sent %q, got %q, %v, want %q and %q", got, result, err, want, wantResult)
		}
	}
	v, err := c.Version(ctx)
	check("GET /v1/version ", v.Version, "1.2", err)
	all, err := c.Interfaces(ctx)
	check("GET /v1/interfaces ", fmt.Sprint(len(all))+all[0].Name, "1x", err)
	one, err := c.Interface(ctx, "a b/c")
	check("GET /v1/interfaces/a%20b%2Fc ", one.Name, "y", err)
	names, err := c.Load(ctx, api.LoadRequest{Parameters: []string{"name=net0,net1"}, Channels: "/ch"})
	check(`POST /v1/interfaces {"parameters":["name=net0,net1"],"channels":"/ch"}`, fmt.Sprint(names), "[net0 net1]", err)
	check("DELETE /v1/interfaces?name=a&name=b%26c ", "", "", c.Unload(ctx, "a", "b&c"))
	check("DELETE /v1/interfaces ", "", "", c.UnloadAll(ctx))
	check(`POST /v1/children {"parent":"net0","child":"c 0"}`, "", "", c.AddChild(ctx, "net0", "c 0"))
	check("DELETE /v1/children/c%2F0 ", "", "", c.DeleteChild(ctx, "c/0"))
	check(`POST /v1/children/c0/marks {"mark":4294967295}`, "", "", c.AddMark(ctx, "c0", 0xffffffff))
	check("DELETE /v1/children/c%200/marks/18 ", "", "", c.DeleteMark(ctx, "c 0", 0x12))
	check(`POST /v1/shutdown {"idle":true}`, "", "", c.Shutdown(ctx, api.ShutdownRequest{Idle: true}))
	got = "nothing"
	check("nothing", "", "", c.Unload(ctx)) // never "all"
}

// TestNamesInPaths checks names that would change the path of a request.
func TestNamesInPaths(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) })
	ctx := t.Context()
	for _, name := range []string{"", ".", ".."} {
		_, err := c.Interface(ctx, name)
		for i, err := range []error{err, c.DeleteChild(ctx, name), c.AddMark(ctx, name, 1), c.DeleteMark(ctx, name, 1)} {
			var refused *client.Error
			if !errors.As(err, &refused) || refused.Status != http.StatusNotFound || err.Error() != fmt.Sprintf("interface %q: no such interface here", name) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"no luck"}`: "no luck",
		`{"error":""}`:        "muennet answered 409 Conflict",
		`<html>`:              "muennet answered 409 Conflict",
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, body)
		})
		_, err := c.Load(t.Context(), api.LoadRequest{})
		var e *client.Error
		if !errors.As(err, &e) || e.Status != http.StatusConflict || err.Error() != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestGarbage(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[1,") })
	if _, err := c.Interfaces(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "read answer of muennet: ") {
		t.Errorf("error %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for b := make([]byte, 1<<20); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	if _, err := c.Interfaces(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("endless answer: %v", err)
	}
}

func TestCancel(t *testing.T) {
	asked := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := c.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func startServer(t *testing.T) (c *client.Client, pid int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), serverEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("server says %q, %v", line, err)
	}
	return client.New(path), cmd.Process.Pid
}

// TestShutdownWaits: Shutdown waits for the exit of the process, not only for
// the answer.
func TestShutdownWaits(t *testing.T) {
	c, pid := startServer(t)
	if err := c.Shutdown(t.Context(), api.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err) // fails: it is our child and was not waited for
	}
	if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "Z") {
		t.Errorf("the process has not exited: %s", stat)
	}
}

// TestShutdownCancel: the context ends the wait.
func TestShutdownCancel(t *testing.T) {
	c, _ := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Shutdown(ctx, api.ShutdownRequest{Idle: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
