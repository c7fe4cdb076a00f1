package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muennet/muennet/api"
)

// hold opens n connections, asks something on each, and returns how many have
// got an answer. These stay open.
func hold(path string, n int) (held int) {
	for range n {
		c, err := net.Dial("unix", path)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: muennet\r\n\r\n", api.PathVersion)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && r.StatusCode == http.StatusOK {
			held++
			kept = append(kept, c)
			continue
		}
		c.Close()
	}
	return held
}

// kept keeps the connections of hold from the garbage collector.
var kept []net.Conn

// holding runs hold as another user; release ends it.
func holding(t *testing.T, uid uint32, path string) (held int, release func()) {
	t.Helper()
	cmd := asCommand(syscall.Credential{Uid: uid, Gid: nobody}, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		in.Close()
		cmd.Wait()
	}
	t.Cleanup(release)
	if _, err := fmt.Fscanln(out, &held); err != nil {
		t.Fatalf("helper of uid %d: %v", uid, err)
	}
	return held, release
}

// TestConnectionBounds: whatever other users hold open, root gets an answer.
func TestConnectionBounds(t *testing.T) {
	needRoot(t)
	d := start(t, openDir(t), "")
	if err := os.Chmod(d.path, 0o666); err != nil {
		t.Fatal(err)
	}
	var releases []func()
	for i, want := range []int{userConns, userConns, userConns, 0} {
		held, release := holding(t, 5000+uint32(i), d.path)
		if held != want {
			t.Errorf("user %d holds %d connections, want %d", i, held, want)
		}
		releases = append(releases, release)
	}
	if _, err := d.client().Version(t.Context()); err != nil {
		t.Errorf("root: %v", err)
	}
	if held, _ := holding(t, 0, d.path); held != ownerConns {
		t.Errorf("root holds %d connections, want %d", held, ownerConns)
	}
	// There is room again for who goes. That the server has noticed is seen by
	// an answer only.
	for _, release := range releases {
		release()
	}
	for {
		got := as(t, syscall.Credential{Uid: 5003, Gid: nobody}, "get", d.path)
		if got == "ok" {
			break
		}
		if !strings.Contains(got, "no answer from muennet (it has too many connections") {
			t.Fatalf("user 3: %s", got)
		}
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
}

// TestSlowReader: a client that reads nothing of its answer loses the
// connection.
func TestSlowReader(t *testing.T) {
	// The answer is longer than what a socket holds.
	f := &fakeNet{names: []string{strings.Repeat("x", 16<<20)}}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(l, quiet())
	g.writeTimeout = 10 * time.Millisecond
	h := newServer(f, api.Version{}, noGroup, quiet()).httpServer()
	closed := make(chan struct{})
	h.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed {
			close(closed)
		}
	}
	go h.Serve(g)
	defer h.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: muennet\r\n\r\n", api.PathInterfaces)
	<-closed
	if n, _ := io.Copy(io.Discard, c); n > 8<<20 {
		t.Errorf("read %d bytes: the server has waited", n)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) != 0 || g.shared != 0 || len(g.users) != 0 {
		t.Errorf("counted still: %d, %d, %v", len(g.conns), g.shared, g.users)
	}
}

// TestSilentClient: one that sends no request, or half of one, does not keep
// the process from ending.
func TestSilentClient(t *testing.T) {
	defer func(d time.Duration) { stopGrace = d }(stopGrace)
	stopGrace = time.Hour
	d := start(t, t.TempDir(), "")
	for _, sent := range []string{"", "GET /v1", "GET /v1/version HTTP/1.1\r\n", "POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"} {
		c, err := net.Dial("unix", d.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, sent)
	}
	// It is answered after the others were accepted.
	if _, err := d.client().Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
}

// TestAnswerAfterChange: a client that does not take the answer to its change
// holds up no other change.
func TestAnswerAfterChange(t *testing.T) {
	s := newServer(&fakeNet{names: []string{"net0"}}, api.Version{}, noGroup, quiet())
	for _, r := range [][3]string{
		{"POST", api.PathInterfaces, good(t)},
		{"DELETE", api.PathInterfaces + "/net0", ""},
		{"DELETE", api.PathInterfaces + "/net9", ""},
		{"POST", api.PathChildren, `{"parent":"net0","child":"c"}`},
		{"POST", api.PathShutdown, `{"idle":true}`},
		{"POST", api.PathShutdown, ""},
		{"POST", api.PathShutdown, ""},
	} {
		w := &unlocked{t: t, s: s, what: r[0] + " " + r[1], header: http.Header{}}
		req, err := http.NewRequest(r[0], r[1], strings.NewReader(r[2]))
		if err != nil {
			t.Fatal(err)
		}
		s.handler().ServeHTTP(w, req.WithContext(withCaller(req.Context(), caller{})))
		if !w.answered {
			t.Errorf("%s: no answer", w.what)
		}
	}
}

// unlocked is a ResponseWriter that makes sure that no change is under way when
// it is used.
type unlocked struct {
	t        *testing.T
	s        *server
	what     string
	header   http.Header
	answered bool
}

func (u *unlocked) Header() http.Header { return u.header }

func (u *unlocked) WriteHeader(int) {
	u.answered = true
	if !u.s.change.TryLock() {
		u.t.Errorf("%s: answered while the change is under way", u.what)
		return
	}
	u.s.change.Unlock()
}

func (u *unlocked) Write(b []byte) (int, error) { return len(b), nil }
