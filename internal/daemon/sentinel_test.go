package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
)

// TestSentinelsReachTheClient: a program tells failures apart in the same way,
// whether it opened the interfaces itself or asks a running muennet.
func TestSentinelsReachTheClient(t *testing.T) {
	f := &fakeNet{names: []string{"net0"}, children: map[string][]uint32{"c0": {7}}}
	s := newServer(f, api.Version{}, noGroup, quiet())
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.handler(), ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return withCaller(ctx, caller{uid: 0})
	}}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	c, ctx := client.New(path), t.Context()
	shown := func(name string) error { _, err := c.Interface(ctx, name); return err }
	_, wrongLoad := c.Load(ctx, api.LoadRequest{Parameters: []string{"colour=red"}})
	all := []error{muennet.ErrUnknown, muennet.ErrChild, muennet.ErrHeld, muennet.ErrNotHeld, muennet.ErrZeroMark, muennet.ErrClosed, api.ErrInUse}
	check := func(what string, err, want error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		for _, sentinel := range all {
			if got := errors.Is(err, sentinel); got != (sentinel == want) {
				t.Errorf("%s: %v: is %q: %t", what, err, sentinel, got)
			}
		}
	}
	check("wrong load", wrongLoad, nil)
	check("show unknown", shown("net9"), muennet.ErrUnknown)
	check("show no name", shown("."), muennet.ErrUnknown)
	check("show child", shown("c0"), muennet.ErrChild)
	check("unload unknown", c.Unload(ctx, "net9"), muennet.ErrUnknown)
	check("unload child", c.Unload(ctx, "c0"), muennet.ErrChild)
	check("child of unknown", c.AddChild(ctx, "net9", "c1"), muennet.ErrUnknown)
	check("child of child", c.AddChild(ctx, "c0", "c1"), muennet.ErrChild)
	check("held", c.AddMark(ctx, "c0", 7), muennet.ErrHeld)
	check("zero", c.AddMark(ctx, "c0", 0), muennet.ErrZeroMark)
	check("not held", c.DeleteMark(ctx, "c0", 8), muennet.ErrNotHeld)
	check("shutdown while in use", c.Shutdown(ctx, api.ShutdownRequest{Idle: true}), api.ErrInUse)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	check("closed", c.Unload(ctx, "net0"), muennet.ErrClosed)
}
