package netlab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/netlab"
	"github.com/muennet/muennet/internal/testnet"
)

// asProgram makes this test binary a program that says that it is ready, as
// sd_notify(3) describes, and sleeps.
const asProgram = "MUENNET_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err == nil {
			_, err = fmt.Fprint(conn, "STATUS=nearly\n")
		}
		if err == nil {
			_, err = fmt.Fprint(conn, "MAINPID=1\nREADY=1\n")
		}
		if err == nil {
			time.Sleep(1000 * time.Second)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// namespace returns one that has been closed when the test ends.
func namespace(t *testing.T) *testnet.NS {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	return testnet.New(t)
}

func TestStartReady(t *testing.T) {
	ns := namespace(t)
	socket := filepath.Join(t.TempDir(), "notify")
	c := ns.Command("/proc/self/exe")
	c.Env = append(os.Environ(), asProgram+"=1")
	if err := c.StartReady(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: error %v, want that its file is gone", err)
	}
	if err := c.Stop(testnet.Patience); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("Stop: error %v, want that it was terminated", err)
	}
}

func TestStartReadyEnds(t *testing.T) {
	ns := namespace(t)
	socket := filepath.Join(t.TempDir(), "notify")
	err := ns.Command("sh", "-c", "exit 3").StartReady(t.Context(), socket)
	if want := "wait until sh is ready: it ended: exit status 3"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("cause")
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	if err := ns.Command("sleep", "1000").StartReady(ctx, socket); !errors.Is(err, cause) {
		t.Errorf("error %v, want the cause of the context", err)
	}
	if err := ns.Command("/nonexistent/tool").StartReady(t.Context(), socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that there is no such file", err)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	ns := namespace(t)
	c := ns.Command("sh", "-c", "trap '' TERM; echo started; while :; do sleep 0.01; done")
	var out testnet.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "it ignores SIGTERM", func() bool { return out.String() != "" })
	if err := c.Stop(time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 1ms") {
		t.Errorf("error %v, want that it did not end", err)
	}
	if how := c.ProcessState.String(); how != "signal: killed" {
		t.Errorf("it ended with %s, want that it was killed", how)
	}
}

func TestUntil(t *testing.T) {
	notYet := errors.New("not yet")
	calls := 0
	err := netlab.Until(t.Context(), func() error {
		if calls++; calls < 3 {
			return notYet
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("%d calls, error %v; want 3", calls, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := netlab.Until(ctx, func() error { return notYet }); err != notYet {
		t.Errorf("error %v at the deadline, want %v", err, notYet)
	}
	cause := errors.New("cause")
	cancelled, fail := context.WithCancelCause(t.Context())
	fail(cause)
	if err := netlab.Until(cancelled, func() error { return notYet }); err != cause {
		t.Errorf("error %v, want %v", err, cause)
	}
}

func TestReady(t *testing.T) {
	a, b := namespace(t), testnet.New(t)
	if err := a.Namespace.AddVeth("v0", b.Namespace, "v1", 1400); err != nil {
		t.Fatal(err)
	}
	a.Up("v0", "10.0.0.1/24", "fd00::1/64")
	if err := a.Ready("v0"); err == nil || !strings.Contains(err.Error(), "no carrier") {
		t.Errorf("error %v while the other end is down, want that it has no carrier", err)
	}
	b.Up("v1", "10.0.0.2/24")
	testnet.EventuallyNil(t, func() error { return a.Ready("v0") })
	if mtu := b.State("v1").MTU; mtu != 1400 {
		t.Errorf("MTU %d, want 1400", mtu)
	}
}

func TestMarkedStream(t *testing.T) {
	ns := namespace(t)
	var listener net.Listener
	var err error
	ns.Do(func() {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	})
	defer listener.Close()
	var conn net.Conn
	ns.Do(func() {
		dialer := net.Dialer{Control: netlab.Marked(0x12345678)}
		if conn, err = dialer.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
	})
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var mark int
	if e := raw.Control(func(fd uintptr) { mark, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK) }); e != nil || err != nil || mark != 0x12345678 {
		t.Errorf("mark %#x, errors %v, %v; want 0x12345678", mark, e, err)
	}
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	sent := make(chan netlab.Sum, 1)
	go func() {
		s, err := netlab.Send(conn.(*net.TCPConn), func(sent int64) bool { return sent < 1<<20 })
		if err != nil {
			t.Error(err)
		}
		sent <- s
	}()
	got, err := netlab.Receive(other)
	if want := <-sent; err != nil || got != want || got.Bytes != 1<<20 {
		t.Errorf("received %+v, error %v; sent %+v", got, err, want)
	}
}
