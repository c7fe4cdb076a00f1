package daemon

import (
	"testing"

	"github.com/muennet/muennet/api"
)

// TestBrief: a brief daemon ends with its last interface, unloaded or deleted,
// and not before it has one.
func TestBrief(t *testing.T) {
	load := api.LoadRequest{Parameters: []string{"name=net0,net1", "in=a,b", "reader_protocol=1,1"}}
	for what, remove := range map[string]func(*running) error{
		"unload":     func(d *running) error { return d.client().Unload(t.Context(), "net1") },
		"unload all": func(d *running) error { return d.client().UnloadAll(t.Context()) },
		"deleted": func(d *running) error {
			d.net.UnloadAll()
			d.net.deleted()
			d.net.deleted() // does not block
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			d := startWith(t, dir, Config{Brief: true})
			if _, err := d.client().Load(t.Context(), load); err != nil {
				t.Fatal(err)
			}
			d.net.deleted() // one of three, say
			if err := d.client().Unload(t.Context(), "net0"); err != nil {
				t.Fatal(err)
			}
			if all, err := d.client().Interfaces(t.Context()); err != nil || len(all) != 1 {
				t.Fatalf("%+v, %v", all, err)
			}
			if err := remove(d); err != nil {
				t.Error(err)
			}
			if err := <-d.result; err != nil || d.net.closed != 1 {
				t.Errorf("run: %v, closed %d times", err, d.net.closed)
			}
			empty(t, dir)
		})
	}
}

// TestNotBrief: others run without interfaces.
func TestNotBrief(t *testing.T) {
	d := start(t, t.TempDir(), "")
	load := api.LoadRequest{Parameters: []string{"name=net0", "in=a", "reader_protocol=1"}}
	for range 2 {
		if _, err := d.client().Load(t.Context(), load); err != nil {
			t.Fatal(err)
		}
		if err := d.client().Unload(t.Context(), "net0"); err != nil {
			t.Fatal(err)
		}
		d.net.deleted()
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
}
