package link_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
	"golang.org/x/sys/unix"
)

func currentID(t *testing.T) uint64 {
	t.Helper()
	fd, err := link.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	return link.NSID(fd)
}

func TestInNetNSIsThereAndOnlyThere(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	home := currentID(t)
	if home == ns.ID() || home == 0 || ns.ID() == 0 {
		t.Fatalf("identities %d and %d", home, ns.ID())
	}
	cause := errors.New("cause")
	err := link.InNetNS(ns.FD(), func() error {
		if id := currentID(t); id != ns.ID() {
			t.Errorf("inside: namespace %d, want %d", id, ns.ID())
		}
		return cause
	})
	if err != cause {
		t.Errorf("error %v, want %v", err, cause)
	}
	// Many at once make the runtime use many threads. None may stay there.
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_ = link.InNetNS(ns.FD(), func() error {
				runtime.Gosched()
				return nil
			})
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if id := currentID(t); id != home {
				t.Errorf("outside: namespace %d, want %d", id, home)
			}
		})
	}
	wg.Wait()
}

// To stay where one is takes no privilege: another thread would have to be
// moved.
func TestInNetNSStaysWhereItIs(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	err := link.InNetNS(ns.FD(), func() error {
		thread := unix.Gettid()
		if !link.IsCurrent(ns.FD()) {
			t.Error("the namespace of the thread is taken for another")
		}
		return link.InNetNS(ns.FD(), func() error {
			if now := unix.Gettid(); now != thread {
				t.Errorf("thread %d, want %d", now, thread)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if link.IsCurrent(ns.FD()) {
		t.Error("another namespace is taken for that of the thread")
	}
}

func TestInNetNSLeavesWhereverTheFunctionWent(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	first, second := testnet.New(t), testnet.New(t)
	home := currentID(t)
	for range 16 {
		err := link.InNetNS(first.FD(), func() error { return unix.Setns(second.FD(), unix.CLONE_NEWNET) })
		if err != nil {
			t.Fatal(err)
		}
		if err := link.InNetNS(-1, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if id := currentID(t); id != home {
			t.Fatalf("outside: namespace %d, want %d", id, home)
		}
	}
}

func TestInNetNSPassesPanicAndGoexitOn(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = link.InNetNS(ns.FD(), func() error { panic("boom") })
	}()
	wentOn := make(chan bool)
	go func() {
		after := false
		defer func() { wentOn <- after }()
		_ = link.InNetNS(ns.FD(), func() error {
			runtime.Goexit() // what FailNow does
			return nil
		})
		after = true
	}()
	if <-wentOn {
		t.Error("the caller went on after a Goexit")
	}
}

func TestInNetNSRefusesWhatIsNoNamespace(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	err = link.InNetNS(int(null.Fd()), func() error {
		t.Error("called all the same")
		return nil
	})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "enter network namespace") {
		t.Errorf("error %v", err)
	}
	if id := link.NSID(1 << 20); id != 0 {
		t.Errorf("identity %d of a descriptor that is not open, want 0", id)
	}
}
