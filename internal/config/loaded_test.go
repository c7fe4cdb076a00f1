package config

import (
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
)

// TestDifferences changes each field: it differs, and no other.
func TestDifferences(t *testing.T) {
	base := func() Load {
		return Load{Channels: "/ch", Interfaces: []Interface{{Name: "net0", Format: element.EthDev, In: "a", Out: "b", ReaderProtocol: 1, WriterProtocol: 1}}}
	}
	changes := map[string]func(*Load, *Interface){
		"Name":           func(_ *Load, i *Interface) { i.Name = "net1" },
		"Format":         func(_ *Load, i *Interface) { i.Format = element.NetHdr },
		"In":             func(_ *Load, i *Interface) { i.In = "c" },
		"Out":            func(_ *Load, i *Interface) { i.Out = "/ch2/b" },
		"ReaderProtocol": func(_ *Load, i *Interface) { i.ReaderProtocol = 2 },
		"WriterProtocol": func(_ *Load, i *Interface) { i.WriterProtocol = 2 },
		"MTU":            func(_ *Load, i *Interface) { i.MTU = 1499 },
		"PMTU":           func(_ *Load, i *Interface) { i.PMTU = "p" },
		"HardwareAddr":   func(_ *Load, i *Interface) { i.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 1} },
		"Carrier":        func(_ *Load, i *Interface) { i.Carrier = CarrierPeer },
		"NoOffload":      func(_ *Load, i *Interface) { i.NoOffload = true },
		"Renew":          func(_ *Load, i *Interface) { i.Renew = time.Second },
		"Force":          func(_ *Load, i *Interface) { i.Force = true },
		"Poll":           func(l *Load, _ *Interface) { l.Poll = 2 * time.Millisecond },
		"BusyPoll":       func(l *Load, _ *Interface) { l.BusyPoll = BusyPollOff },
		"Channels":       func(l *Load, i *Interface) { l.Channels, i.Out = "/other", "/ch/b" }, // differs in In
		"Create":         nil,                                                                   // is about files, not about what is loaded
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Load](), reflect.TypeFor[Interface]()} {
		for _, f := range reflect.VisibleFields(typ) {
			if _, known := changes[f.Name]; !known && f.Name != "Interfaces" {
				t.Errorf("the test lacks %s", f.Name)
			}
		}
	}
	for field, change := range changes {
		if change == nil {
			continue
		}
		wanted := base()
		change(&wanted, &wanted.Interfaces[0])
		if field == "Channels" {
			field = "In"
		}
		d := Differences(base(), wanted)
		if len(d) != 1 || d[0].Field != field || d[0].Interface != "net0" || reflect.DeepEqual(d[0].Loaded, d[0].Wanted) {
			t.Errorf("%s: differences %+v", field, d)
		}
	}
}

// TestNoDifference: a default is the same as its value, a name as its path.
func TestNoDifference(t *testing.T) {
	solo := func() Load {
		return Load{Channels: "/ch", Interfaces: []Interface{{Name: "net0", Format: element.EthDev, In: "a", Out: "b", ReaderProtocol: 1, WriterProtocol: SoloProtocol}}}
	}
	stated, oneWay, otherWay := solo(), solo(), solo()
	stated.Poll, stated.Channels, stated.Create = DefaultPoll, "/elsewhere", 4096
	i := &stated.Interfaces[0]
	i.In, i.Out, i.MTU, i.Renew = "/ch/a", "/ch/b", DefaultMTU, DefaultRenew
	oneWay.Interfaces[0].In, otherWay.Interfaces[0].In = "", ""
	otherWay.Interfaces[0].ReaderProtocol = 7
	for _, pair := range [][2]Load{{solo(), stated}, {stated, solo()}, {oneWay, otherWay}} {
		if d := Differences(pair[0], pair[1]); len(d) != 0 {
			t.Errorf("differences %+v", d)
		}
	}
}

func TestLoadedError(t *testing.T) {
	e := &LoadedError{[]Difference{{"net0", "MTU", 1500, 1400}, {"net0", "In", "a", "c"}, {"net1", "Force", false, true}}}
	if want := "net0 is loaded already with MTU 1500, not 1400, In a, not c; net1 is loaded already with Force false, not true"; e.Error() != want {
		t.Errorf("%s, want %s", e, want)
	}
}

// TestChannelsByPath: two names of one file are one channel.
func TestChannelsByPath(t *testing.T) {
	l := Load{Channels: "/ch", Interfaces: []Interface{{Name: "net0", In: "a", Out: "/ch/a", ReaderProtocol: 1, WriterProtocol: 1}}}
	if err := l.Validate(); err == nil {
		t.Error("in and out are one file")
	}
	l.Interfaces[0].Out = "/other/a"
	if err := l.Validate(); err != nil {
		t.Error(err)
	}
	l.Interfaces = append(l.Interfaces, Interface{Name: "net1", Out: "b", WriterProtocol: 1}, Interface{Name: "net2", Out: "/ch/b", WriterProtocol: 1})
	if err := l.Validate(); err == nil {
		t.Error("two writers of one file")
	}
}
