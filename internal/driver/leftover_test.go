package driver

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/tuntap"
)

// forget is Forget in the namespace of the lab, with sorted names.
func (l *lab) forget() (names []string, err error) {
	l.t.Helper()
	l.ns.Do(func() { names, err = Forget(l.state) })
	slices.Sort(names)
	return names, err
}

// leave lets a process load interfaces and crash.
func (l *lab) leave(interfaces ...Interface) {
	l.t.Helper()
	d := l.driver()
	l.mustLoad(d, interfaces...)
	crash(d)
}

// setAlias changes an alias as another program would.
func (l *lab) setAlias(name, alias string) {
	l.t.Helper()
	must(l.t, l.ns.Link().SetAlias(l.ns.State(name).Index, alias))
}

// What another load of the same channels left behind has other queues, or is of
// another kind. It cannot be used and must not be in the way; the same is true
// of its children.
func TestLeftoverOfAnotherModeIsReplaced(t *testing.T) {
	formats := []element.Format{element.Raw, element.NetHdr, element.EthDev}
	for _, before := range formats {
		for _, after := range formats {
			if before == after {
				continue
			}
			t.Run(before.String()+" "+after.String(), func(t *testing.T) {
				l := newLab(t)
				i := netHdr("net0")
				i.Format = before
				d := l.driver()
				l.mustLoad(d, i)
				if before == element.NetHdr {
					must(t, d.AddChild("net0", "child0"))
				}
				index := l.ns.State("net0").Index
				crash(d)
				d = l.driver()
				i.Format = after
				l.mustLoad(d, i)
				if s := status(t, d); s.Adopted || s.Index == index || s.Mode != after.String() {
					t.Errorf("status %+v, want a new interface", s)
				}
				if names := l.ns.Names(); !slices.Equal(names, []string{"net0"}) {
					t.Errorf("interfaces %v", names)
				}
			})
		}
	}
}

func TestNameOfTheAdopted(t *testing.T) {
	for _, c := range []struct {
		what          string
		asked         string // by the load that crashed
		renamed       string // by the administrator; "" is not at all
		asks          string // the next load
		withoutRecord bool
		want          string
	}{
		{what: "the same load", asked: "net0", asks: "net0", want: "net0"},
		{what: "the same load after a rename", asked: "net0", renamed: "uplink", asks: "net0", want: "uplink"},
		{what: "another name", asked: "net0", asks: "net1", want: "net1"},
		{what: "another name after a rename", asked: "net0", renamed: "uplink", asks: "net1", want: "net1"},
		{what: "the name that it was given", asked: "net0", renamed: "uplink", asks: "uplink", want: "uplink"},
		{what: "any number", asked: "net0", asks: "tun%d", want: "net0"},
		{what: "the same pattern", asked: "net%d", renamed: "uplink", asks: "net%d", want: "uplink"},
		{what: "without a state file", asked: "net0", asks: "net1", withoutRecord: true, want: "net1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := newLab(t)
			d := l.driver()
			l.mustLoad(d, netHdr(c.asked))
			before := status(t, d)
			if c.renamed != "" {
				must(t, l.ns.Link().SetName(before.Index, c.renamed))
			}
			must(t, l.ns.Link().SetUp(before.Index))
			crash(d)
			if c.withoutRecord {
				must(t, os.Remove(l.state))
			}
			d = l.driver()
			names, err := l.load(d, netHdr(c.asks))
			if err != nil || !slices.Equal(names, []string{c.want}) {
				t.Fatalf("loaded %v, %v; want %s", names, err, c.want)
			}
			if s := status(t, d); s.Index != before.Index || !s.Adopted || s.Name != c.want || l.ns.State(c.want).Index != before.Index {
				t.Errorf("status %+v, want interface %d", s, before.Index)
			}
		})
	}
}

// A load that cannot rename an adopted interface is refused, and all that it
// has adopted is as before, even interfaces that it has renamed already.
func TestNameOfTheAdoptedIsTaken(t *testing.T) {
	l := newLab(t)
	second := Interface{Name: "net1", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol}
	l.leave(netHdr("net0"), second)
	first, other := l.ns.State("net0").Index, l.ns.State("net1").Index
	l.ns.MustRun("ip", "tuntap", "add", "foreign", "mode", "tun")

	d := l.driver()
	asks := second
	asks.Name = "foreign"
	_, err := l.load(d, netHdr("free"), asks)
	if !errors.Is(err, tuntap.ErrNameTaken) || !strings.Contains(err.Error(), "interface foreign: adopt net1") {
		t.Fatalf("error %v", err)
	}
	if names := l.ns.Names(); !slices.Equal(names, []string{"foreign", "net0", "net1"}) || len(d.Status()) != 0 {
		t.Errorf("interfaces %v, status %v", names, d.Status())
	}
	l.mustLoad(d, netHdr("net0"), second)
	if all := d.Status(); all[0].Index != first || all[1].Index != other || !all[0].Adopted || !all[1].Adopted {
		t.Errorf("status %+v", all)
	}
}

// Another program may put its own note into the alias, as container runtimes
// do, and read it later. An alias that was removed is restored.
func TestAliasOfAnotherProgram(t *testing.T) {
	for _, alias := range []string{"net0", ""} {
		t.Run("alias "+alias, func(t *testing.T) {
			l := newLab(t)
			d := l.driver()
			l.mustLoad(d, netHdr("net0"))
			must(t, d.AddChild("net0", "child0"))
			must(t, d.AddMark("child0", 7))
			net0, child0 := l.ns.State("net0"), l.ns.State("child0")
			l.setAlias("net0", alias)
			l.setAlias("child0", alias)
			crash(d)

			d = l.driver()
			l.mustLoad(d, netHdr("net0"))
			s := status(t, d)
			if s.Index != net0.Index || !s.Adopted {
				t.Fatalf("status %+v, want interface %d", s, net0.Index)
			}
			if c := childStatus(t, d, "child0"); c.Index != child0.Index || !c.Adopted || !slices.Equal(c.Marks, []uint32{7}) {
				t.Errorf("child %+v, want interface %d", c, child0.Index)
			}
			for name, ours := range map[string]string{"net0": net0.Alias, "child0": child0.Alias} {
				want := alias
				if alias == "" {
					want = ours
				}
				if got := l.ns.State(name).Alias; got != want {
					t.Errorf("%s has the alias %q, want %q", name, got, want)
				}
			}
			crash(d)
			if names, err := l.forget(); err != nil || !slices.Equal(names, []string{"child0", "net0"}) {
				t.Errorf("forgot %v, %v", names, err)
			}
		})
	}
}

// A device that merely has the index of one of ours is neither adopted nor
// removed.
func TestSomebodyElsesDeviceIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		what  string
		add   []string // more arguments of ip tuntap add
		alias string
		boot  string
	}{
		{what: "a TAP", add: []string{"mode", "tap"}},
		{what: "one queue", add: []string{"mode", "tun", "user", "0"}},
		{what: "no owner", add: []string{"mode", "tun", "multi_queue"}},
		{what: "another owner", add: []string{"mode", "tun", "multi_queue", "user", "12345"}},
		{what: "another boot", add: []string{"mode", "tun", "multi_queue", "user", "0"}, boot: "another"},
		{what: "another of ours", add: []string{"mode", "tun", "multi_queue", "user", "0"}, alias: "muennet in=x out=y"},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := newLab(t)
			l.ns.MustRun("ip", append([]string{"tuntap", "add", "foreign"}, c.add...)...)
			l.setAlias("foreign", c.alias)
			foreign := l.ns.State("foreign").Index
			l.leave(netHdr("net0"))
			// The record says that ours had the index of the other one.
			l.ns.MustRun("ip", "link", "del", "net0")
			l.editState(func(s *state) {
				s.Interfaces[0].Index = foreign
				if c.boot != "" {
					s.Boot = c.boot
				}
			})
			data, err := os.ReadFile(l.state)
			must(t, err)

			d := l.driver()
			l.mustLoad(d, netHdr("net0"))
			if s := status(t, d); s.Adopted || s.Index == foreign {
				t.Errorf("status %+v, want a new interface", s)
			}
			must(t, d.Close())
			must(t, os.WriteFile(l.state, data, 0o600))
			if c.alias == "" { // with one of ours it is what some crash left
				if names, err := l.forget(); err != nil || len(names) > 0 {
					t.Errorf("forgot %v, %v", names, err)
				}
			}
			if l.ns.State("foreign").Index != foreign {
				t.Error("the interface was made anew")
			}
		})
	}
}

// editState changes what the state file says.
func (l *lab) editState(f func(*state)) {
	l.t.Helper()
	data, err := os.ReadFile(l.state)
	must(l.t, err)
	var s state
	must(l.t, json.Unmarshal(data, &s))
	f(&s)
	data, err = json.Marshal(s)
	must(l.t, err)
	must(l.t, os.WriteFile(l.state, data, 0o600))
}

// A device that looks like ours, with our index but a foreign alias, is
// adopted: the other cases differ from this one.
func TestAliasOfAnotherProgramIsTheOnlyDifference(t *testing.T) {
	l := newLab(t)
	l.ns.MustRun("ip", "tuntap", "add", "other", "mode", "tun", "multi_queue", "user", "0")
	index := l.ns.State("other").Index
	l.leave(netHdr("net0"))
	l.ns.MustRun("ip", "link", "del", "net0")
	l.editState(func(s *state) { s.Interfaces[0].Index = index })
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	if s := status(t, d); !s.Adopted || s.Index != index {
		t.Errorf("status %+v", s)
	}
}

func TestForgetWithADamagedStateFile(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	must(t, d.AddChild("net0", "child0"))
	crash(d)
	must(t, os.Truncate(l.state, 17))
	names, err := l.forget()
	var damaged *DamagedStateError
	if !errors.As(err, &damaged) || damaged.Path != l.state || !slices.Equal(names, []string{"child0", "net0"}) {
		t.Errorf("forgot %v, %v; want what the aliases tell, and a damaged state file", names, err)
	}
	if _, err := os.Stat(damaged.Aside); err != nil {
		t.Error(err)
	}
	if names, err := l.forget(); err != nil || len(names) > 0 {
		t.Errorf("at the second time: %v, %v", names, err)
	}
}

// Without a state file a child is not adopted with its parent, but when it is
// added again.
func TestAddChildTakesOver(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	must(t, d.AddChild("net0", "child0"))
	index := l.ns.State("child0").Index
	crash(d)
	must(t, os.Remove(l.state))
	d = l.driver()
	l.mustLoad(d, netHdr("net0"))
	must(t, d.AddChild("net0", "child0"))
	if c := childStatus(t, d, "child0"); c.Index != index || !c.Adopted {
		t.Errorf("%+v, want interface %d", c, index)
	}
	if err := d.AddChild("net0", "child0"); !errors.Is(err, tuntap.ErrNameTaken) {
		t.Errorf("a child that is there: %v", err)
	}
}

// An alias has 255 bytes, two paths can have more.
func TestLongAliases(t *testing.T) {
	long := strings.Repeat("x", 200)
	seen := map[string]bool{}
	for _, i := range []Interface{{In: long + "1", Out: long}, {In: long + "2", Out: long}, {In: long, Out: long + "1"}, {In: "a", Out: "b"}} {
		alias := aliasOf(i)
		if len(alias) > maxAlias || !isAlias(alias) || seen[alias] {
			t.Errorf("%q", alias)
		}
		seen[alias] = true
	}
}
