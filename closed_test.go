package muennet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/testnet"
)

// TestUnloadWithoutNamesRemovesNothing: as in package client. Removing all is a
// separate method.
func TestUnloadWithoutNamesRemovesNothing(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	load := twoInterfaces(t)
	testnet.New(t).Do(func() {
		n, err := muennet.Open(muennet.Config{Load: load})
		if err != nil {
			t.Error(err)
			return
		}
		defer n.Close()
		var none []string
		if err := n.Unload(none...); err != nil {
			t.Error(err)
		}
		if names := interfaces(t); strings.Join(names, " ") != "net0 net1" {
			t.Errorf("unload of an empty list leaves %v", names)
		}
		if err := n.UnloadAll(); err != nil {
			t.Error(err)
		}
		if names := interfaces(t); len(names) != 0 {
			t.Errorf("unload all leaves %v", names)
		}
		if _, err := n.Load(load); err != nil {
			t.Errorf("load after unload of all: %v", err)
		}
	})
}

// TestClosed checks the errors of a closed Net. It needs no privilege because
// nothing was loaded.
func TestClosed(t *testing.T) {
	n, err := muennet.Open(muennet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	_, loadErr := n.Load(muennet.Load{})
	for what, err := range map[string]error{
		"load":         loadErr,
		"unload":       n.Unload("net0"),
		"unload all":   n.UnloadAll(),
		"add child":    n.AddChild("net0", "child0"),
		"delete child": n.DeleteChild("child0"),
		"add mark":     n.AddMark("child0", 1),
		"delete mark":  n.DeleteMark("child0", 1),
	} {
		if !errors.Is(err, muennet.ErrClosed) || !strings.HasPrefix(err.Error(), what[:4]) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s := n.Status(); len(s) != 0 {
		t.Errorf("status of %d interfaces", len(s))
	}
}
