package tuntap_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// waiting starts a Wait that is not satisfied before the device is readable,
// and returns when it has found nothing once.
func waiting(dev *tuntap.Device) (result <-chan error) {
	looked, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	buf := make([]byte, 2000)
	go func() {
		ended <- dev.Wait(func() bool {
			_, _, err := dev.Read(buf)
			if err == tuntap.ErrAgain {
				once.Do(func() { close(looked) })
			}
			return err == nil
		})
	}()
	<-looked
	return ended
}

func result(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(testnet.Patience):
		t.Fatal("still waits")
		return nil
	}
}

func TestWaitEndsWithPacket(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	sock := ns.Packet(testnet.PacketConfig{Interface: "eth0"})
	for range 100 {
		ended := waiting(dev)
		if err := sock.Send(frame(60)); err != nil {
			t.Fatal(err)
		}
		if err := result(t, ended); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInterruptLastsUntilResume(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	ended := waiting(dev)
	if err := dev.Interrupt(); err != nil {
		t.Fatal(err)
	}
	if err := result(t, ended); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want %v", err, os.ErrDeadlineExceeded)
	}
	never := func() bool { t.Error("called while interrupted"); return true }
	if err := dev.Wait(never); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v of the next Wait, want %v", err, os.ErrDeadlineExceeded)
	}
	if err := dev.Resume(); err != nil {
		t.Fatal(err)
	}
	called := false
	if err := dev.Wait(func() bool { called = true; return true }); err != nil || !called {
		t.Errorf("after Resume: error %v, called %v", err, called)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	ended := waiting(dev)
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, read := dev.Read(make([]byte, 100))
	_, written := dev.Write(ipv4(100))
	_, named := dev.Name()
	_, indexed := dev.Index()
	for what, err := range map[string]error{
		"Wait":             result(t, ended),
		"a later Wait":     dev.Wait(func() bool { return false }),
		"Read":             read,
		"Write":            written,
		"Name":             named,
		"Index":            indexed,
		"SetPersist":       dev.SetPersist(true),
		"Interrupt":        dev.Interrupt(),
		"Resume":           dev.Resume(),
		"Close once again": dev.Close(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: error %v, want %v", what, err, os.ErrClosed)
		}
	}
	if dev.Gone() {
		t.Error("a closed device counts as deleted")
	}
}

// Close ends the calls that are going on and closes no descriptor under them.
func TestCloseWhileBusy(t *testing.T) {
	ns := namespace(t)
	for range 20 {
		dev := open(t, ns, tuntap.Config{Name: "net0"})
		var wg sync.WaitGroup
		started := make(chan struct{}, 3)
		busy := func(f func() error) {
			wg.Go(func() {
				started <- struct{}{}
				for {
					err := f()
					if errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil && err != tuntap.ErrAgain {
						t.Error(err)
						return
					}
				}
			})
		}
		buf := make([]byte, 2000)
		busy(func() error { _, err := dev.Write(ipv4(100)); return err })
		busy(func() error { _, err := dev.Name(); return err })
		busy(func() error {
			return dev.Wait(func() bool {
				_, _, err := dev.Read(buf)
				return err != tuntap.ErrAgain
			})
		})
		for range 3 {
			<-started
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestDeletedInterfaceIsGone(t *testing.T) {
	for _, kind := range []tuntap.Kind{tuntap.TUN, tuntap.TAP} {
		t.Run(kind.String(), func(t *testing.T) {
			ns := namespace(t)
			dev := open(t, ns, tuntap.Config{Name: "net0", Kind: kind})
			if dev.Gone() {
				t.Fatal("gone before it was deleted")
			}
			ended := waiting(dev)
			if err := ns.Link().Delete(index(t, dev)); err != nil {
				t.Fatal(err)
			}
			if !dev.Gone() {
				t.Error("not gone")
			}
			_, _, read := dev.Read(make([]byte, 100))
			_, written := dev.Write(ipv4(100))
			_, named := dev.Name()
			_, indexed := dev.Index()
			_, opened := dev.NetNS()
			for what, err := range map[string]error{
				"Wait":         result(t, ended),
				"a later Wait": dev.Wait(func() bool { return false }),
				"Read":         read,
				"Write":        written,
				"Name":         named,
				"Index":        indexed,
				"NetNS":        opened,
				"SetCarrier":   dev.SetCarrier(false),
			} {
				if !errors.Is(err, tuntap.ErrGone) {
					t.Errorf("%s: error %v, want %v", what, err, tuntap.ErrGone)
				}
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
