package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/muennet/muennet/internal/testnet"
)

// An event is what an administrator or an accident does to a party. After it
// the interface may be down or gone until heal.
type event struct {
	name   string
	weight int
	happen func(*party)
}

var events = []event{
	{"down", 4, func(p *party) { p.ipAt("link", "set", p.name, "down") }},
	{"up", 4, func(p *party) { p.configure() }},
	{"down and up", 4, func(p *party) {
		p.ipAt("link", "set", p.name, "down")
		p.configure()
	}},
	{"mtu", 4, func(p *party) { p.ipAt("link", "set", p.name, "mtu", fmt.Sprint(576+p.r.IntN(8000))) }},
	{"rename", 4, func(p *party) {
		to := p.fresh("r")
		p.ipAt("link", "set", p.name, "down") // before Linux 6.2 it has to be
		p.ipAt("link", "set", p.name, "name", to)
		p.name = to
		p.configure()
	}},
	{"move", 4, func(p *party) {
		to := p.namespaces[0]
		if p.at == to {
			to = p.namespaces[1]
		}
		p.ipAt("link", "set", p.name, "netns", to.Path())
		p.at = to
		p.configure()
	}},
	{"link del", 2, func(p *party) {
		p.ipAt("link", "del", p.name)
		p.load(p.params...)
		p.begun()
	}},
	{"unload", 2, func(p *party) {
		p.known()
		p.must("unload", p.name)
		p.load(p.params...)
		p.begun()
	}},
	{"kill", 2, func(p *party) {
		p.known() // and so does the state file
		p.saved()
		p.kill()
		p.begin()
	}},
	{"stop", 2, func(p *party) {
		p.stop()
		p.begin()
		p.begun()
	}},
	{"second interface", 2, func(p *party) {
		name := p.fresh("s")
		p.load("name="+name, "in=spare", "flags=eth_dev", "reader_protocol=1")
		p.must("unload", name)
	}},
	{"add child", 4, func(p *party) {
		if len(p.children) == 4 {
			return
		}
		p.known()
		child := p.fresh("c")
		p.must("cfg", "add_child", p.name, child)
		p.at.MustRun("ip", "link", "set", child, "up")
		p.children = append(p.children, child)
	}},
	{"del child", 3, func(p *party) {
		if child := p.someChild(); child != "" {
			p.must("cfg", "del_child", child)
			p.forget(child)
		}
	}},
	{"link del of a child", 2, func(p *party) {
		if child := p.someChild(); child != "" {
			i := slices.IndexFunc(p.namespaces, func(ns *testnet.NS) bool {
				return ns.Command("ip", "link", "del", child).Run() == nil
			})
			if i < 0 {
				p.t.Fatalf("child %s is in no namespace", child)
			}
			p.forget(child)
		}
	}},
	{"add mark", 4, func(p *party) {
		mark := fmt.Sprint(crossfireMarks[1+p.r.IntN(len(crossfireMarks)-1)])
		if child := p.someChild(); child != "" && p.marks[mark] == "" {
			p.must("cfg", "add_mark", child, mark)
			p.marks[mark] = child
		}
	}},
	{"del mark", 4, func(p *party) {
		for mark, child := range p.marks {
			p.must("cfg", "del_mark", child, mark)
			delete(p.marks, mark)
			return
		}
	}},
	{"file replaced", 3, func(p *party) {
		path := p.someChannel()
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
		p.create(path)
	}},
	{"file removed and made later", 2, func(p *party) {
		path := p.someChannel()
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(time.Duration(p.r.IntN(1500)) * time.Millisecond)
		p.create(path)
	}},
	{"file cut", 3, func(p *party) {
		path := p.someChannel()
		if err := os.Truncate(path, int64(p.r.IntN(1<<20))); err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(time.Duration(p.r.IntN(300)) * time.Millisecond)
		if err := os.Truncate(path, 1<<20); err != nil {
			p.t.Fatal(err)
		}
	}},
	{"full file system", 2, func(p *party) {
		filler, path := filepath.Join(p.channels, "filler"), p.someChannel()
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
		fill(p.t, filler)
		// A file of holes, as truncate(1) makes it.
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<20)); err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(time.Duration(p.r.IntN(1500)) * time.Millisecond)
		if err := os.Remove(filler); err != nil {
			p.t.Fatal(err)
		}
	}},
}
