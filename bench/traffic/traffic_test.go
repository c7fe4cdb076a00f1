package traffic

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// freePort is an address of the loopback without a listener.
func freePort(t *testing.T, kind int) netip.AddrPort {
	t.Helper()
	fd, err := bind(kind, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	a := addr.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
}

// measure runs both ends over the loopback.
func measure(t *testing.T, to, from Role, kind, streams int) (sink, source Result) {
	t.Helper()
	addr := freePort(t, kind)
	var ends []*Process
	for _, role := range []Role{to, from} {
		p, err := Start(Job{Role: role, Addr: addr, Streams: streams}, (*exec.Cmd).Start)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ends = append(ends, p)
	}
	begin := Now()
	w := Window{From: begin + int64(50*time.Millisecond), To: begin + int64(150*time.Millisecond)}
	for _, p := range ends {
		if err := p.Measure(w); err != nil {
			t.Fatal(err)
		}
	}
	var results [2]Result
	for _, i := range []int{1, 0} {
		var err error
		if results[i], err = ends[i].Result(); err != nil {
			t.Fatal(err)
		}
	}
	return results[0], results[1]
}

func TestStreamsArriveComplete(t *testing.T) {
	for _, streams := range []int{1, 4} {
		sink, source := measure(t, StreamSink, StreamSource, unix.SOCK_STREAM, streams)
		if sink.Total == 0 || sink.Total != source.Total {
			t.Errorf("%d streams: %d bytes were sent, %d arrived", streams, source.Total, sink.Total)
		}
		if sink.Units == 0 || sink.Units > sink.Total || sink.Took <= 0 {
			t.Errorf("%d streams: the window saw %d of %d bytes in %v", streams, sink.Units, sink.Total, sink.Took)
		}
	}
}

func TestFloodCountsBothEnds(t *testing.T) {
	sink, source := measure(t, FloodSink, FloodSource, unix.SOCK_DGRAM, 0)
	if sink.Total == 0 || sink.Total > source.Total || sink.Units == 0 || sink.Units > sink.Total {
		t.Errorf("sent %d, arrived %d, in the window %d", source.Total, sink.Total, sink.Units)
	}
}

func TestPingIsEchoed(t *testing.T) {
	sink, source := measure(t, Echo, Ping, unix.SOCK_STREAM, 0)
	if source.Units == 0 || source.Units > source.Total || sink.Total != source.Total {
		t.Errorf("asked %d, answered %d, in the window %d", source.Total, sink.Total, source.Units)
	}
	if source.P50 <= 0 || source.P99 < source.P50 {
		t.Errorf("p50 %v, p99 %v", source.P50, source.P99)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	for role, want := range map[Role]string{
		StreamSource: "connection refused",
		"dance":      `no role "dance"`,
	} {
		p, err := Start(Job{Role: role, Addr: freePort(t, unix.SOCK_STREAM), Streams: 1}, (*exec.Cmd).Start)
		if err == nil {
			p.Close()
			t.Errorf("%s: no error", role)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q, want %q", role, err, want)
		}
	}
}

// Signals during a connect that takes a while, as those of Go's scheduler.
func TestInterruptedConnect(t *testing.T) {
	addr := freePort(t, unix.SOCK_STREAM)
	listener, err := bind(unix.SOCK_STREAM, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	if err := unix.Listen(listener, 0); err != nil {
		t.Fatal(err)
	}
	// This one fills the backlog, so the next has to try again after a second.
	first, err := connect(unix.SOCK_STREAM, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(first)
	thread, connected := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		fd, err := connect(unix.SOCK_STREAM, addr)
		unix.Close(fd)
		connected <- err
	}()
	tid, signals := <-thread, time.NewTicker(time.Millisecond)
	defer signals.Stop()
	for n := 0; ; n++ {
		select {
		case err := <-connected:
			if err != nil || n < 10 {
				t.Errorf("%v after %d signals", err, n)
			}
			return
		case <-signals.C:
			if err := unix.Tgkill(unix.Getpid(), tid, unix.SIGURG); err != nil {
				t.Fatal(err)
			}
		}
		if n == 50 {
			for range 2 { // the second is the one that waits
				go func() {
					if fd, err := accept(listener); err == nil {
						unix.Close(fd)
					}
				}()
			}
		}
	}
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		values []time.Duration
		q      float64
		want   time.Duration
	}{{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 99}, {hundred[:1], 0.5, 0}, {hundred[5:7], 0.5, 6}} {
		if got := quantile(c.values, c.q); got != c.want {
			t.Errorf("quantile(%d values, %v) = %v, want %v", len(c.values), c.q, got, c.want)
		}
	}
}
