package muennet_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

const solo = 0x7ade5c549b08e814

// channels creates a directory of channels of 64 KiB.
func channels(t *testing.T, modes map[string]os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "channels")
	for name, mode := range modes {
		if err := region.Create(dir, name, 64<<10, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAuto(t *testing.T) {
	dir := channels(t, map[string]os.FileMode{"b|in": 0o600, "b|out": 0o600, "a|in": 0o400, "a|out": 0o600, "half|out": 0o600})
	load, skipped, err := muennet.Auto(muennet.AutoConfig{Channels: dir, Parameters: []string{"mtu=,1400", "force=1", "poll=3"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []muennet.Interface{
		{Name: "net0", Format: element.EthDev, In: "a|in", Out: "a|out", ReaderProtocol: solo, WriterProtocol: solo, Force: true},
		{Name: "net1", Format: element.EthDev, In: "b|out", Out: "b|in", ReaderProtocol: solo, WriterProtocol: solo, Force: true, MTU: 1400},
	}
	if !reflect.DeepEqual(load.Interfaces, want) || load.Channels != dir || load.Poll.Milliseconds() != 3 {
		t.Errorf("%+v\nwant interfaces %+v in %s", load, want, dir)
	}
	if len(skipped) != 1 || skipped[0].Name != "half" || !strings.Contains(skipped[0].Reason, "half a pair") {
		t.Errorf("skipped %q", skipped)
	}
}

func TestAutoErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	if _, _, err := muennet.Auto(muennet.AutoConfig{Channels: missing}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("no directory: %v", err)
	}
	half := channels(t, map[string]os.FileMode{"half|in": 0o600})
	if _, skipped, err := muennet.Auto(muennet.AutoConfig{Channels: half}); !errors.Is(err, muennet.ErrNoPair) || len(skipped) != 1 {
		t.Errorf("half a pair: %v, skipped %q", err, skipped)
	}
	dir := channels(t, map[string]os.FileMode{"a|in": 0o600, "a|out": 0o600, "half|in": 0o600})
	for parameter, want := range map[string]string{"in=x": "not together with auto", "mtu=0": "want", "mtu=1,2": "at most 1"} {
		load, skipped, err := muennet.Auto(muennet.AutoConfig{Channels: dir, Parameters: []string{parameter}})
		if err == nil || !strings.Contains(err.Error(), want) || !reflect.DeepEqual(load, muennet.Load{}) || len(skipped) != 1 {
			t.Errorf("%s: %v, %+v, skipped %q; want %s", parameter, err, load, skipped, want)
		}
	}
}

// Open accepts the result of Auto.
func TestAutoOpen(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	dir := channels(t, map[string]os.FileMode{"a|in": 0o600, "a|out": 0o600, "b|in": 0o600, "b|out": 0o600})
	load, _, err := muennet.Auto(muennet.AutoConfig{Channels: dir})
	if err != nil {
		t.Fatal(err)
	}
	testnet.New(t).Do(func() {
		n, err := muennet.Open(muennet.Config{Load: load})
		if err != nil {
			t.Error(err)
			return
		}
		defer n.Close()
		var got []string
		for _, s := range n.Status() {
			got = append(got, s.Name+" "+s.In+" "+s.Out)
		}
		if want := []string{"net0 a|out a|in", "net1 b|out b|in"}; !reflect.DeepEqual(got, want) {
			t.Errorf("interfaces %q, want %q", got, want)
		}
	})
}
