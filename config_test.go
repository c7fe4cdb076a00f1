package muennet_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/daemon"
)

// rules lists all rules of a configuration, each broken once in a Load and once
// in parameters. What a Load can hold but parameters cannot, such as a Format
// of 7, is broken there in a different way.
var rules = []struct {
	what  string
	spoil func(*muennet.Load)
	// Where the Load is invalid, and the expected error.
	index       int
	field, want string
	// Parameters that replace or supplement those of valid, and the invalid
	// one.
	text, parameter string
}{
	{"no name", first(func(i *muennet.Interface) { i.Name = "" }), 0, "Name", `interface 0 of the load: Name "": the name is empty`, "name=", "name"},
	{"long name", first(func(i *muennet.Interface) { i.Name = "1234567890123456" }), 0, "Name", "want at most 15", "name=1234567890123456", "name"},
	{"name of a sysctl", first(func(i *muennet.Interface) { i.Name = "all" }), 0, "Name", "reserves the names", "name=all", "name"},
	{"two of a name", add(func(i *muennet.Interface) { i.Name = "net0" }), 1, "Name", "has the same name", "name=net0,net0 in=a,c out=b,d reader_protocol=1,1 writer_protocol=1,1", "name"},
	{"format", first(func(i *muennet.Interface) { i.Format = 7 }), 0, "Format", "interface net0: Format format(7): want raw, net_hdr or eth_dev", "flags=seven", "flags"},
	{"no direction", first(func(i *muennet.Interface) { i.In, i.Out = "", "" }), 0, "In", "want a channel for at least one direction", "in= out=", "in"},
	{"in", first(func(i *muennet.Interface) { i.In = "x/y" }), 0, "In", "want a name without '/'", "in=x/y", "in"},
	{"out", first(func(i *muennet.Interface) { i.Out = "x@4+64" }), 0, "Out", "want a multiple of 8", "out=x@4+64", "out"},
	{"in is out", first(func(i *muennet.Interface) { i.Out = "a" }), 0, "Out", "overlaps in", "out=a", "out"},
	{"in overlaps out", first(func(i *muennet.Interface) { i.In, i.Out = "/x/a@0+4K", "/x/./a@4088+4K" }), 0, "Out", "overlaps in", "in=/x/a@0+4K out=/x/./a@4088+4K", "out"},
	{"two writers", add(func(i *muennet.Interface) { i.Out = "b@0+1M" }), 1, "Out", "interface net0 already writes it", "name=net0,net1 in=a,c out=b,b@0+1M reader_protocol=1,1 writer_protocol=1,1", "out"},
	{"reader protocol", first(func(i *muennet.Interface) { i.ReaderProtocol = 0 }), 0, "ReaderProtocol", "want the protocol id of in=a", "reader_protocol=0", "reader_protocol"},
	{"writer protocol", first(func(i *muennet.Interface) { i.WriterProtocol = 0 }), 0, "WriterProtocol", "want the protocol id of out=b", "writer_protocol=", "writer_protocol"},
	{"negative MTU", first(func(i *muennet.Interface) { i.MTU = -5 }), 0, "MTU", "interface net0: MTU -5: want 1 to 65535 for raw", "mtu=-5", "mtu"},
	{"MTU of net_hdr", first(func(i *muennet.Interface) { i.Format, i.MTU = element.NetHdr, 5 }), 0, "MTU", "want 68 to 65535 for net_hdr", "flags=net_hdr mtu=5", "mtu"},
	{"MTU of eth_dev", first(func(i *muennet.Interface) { i.Format, i.MTU = element.EthDev, 65522 }), 0, "MTU", "want 68 to 65521 for eth_dev", "flags=eth_dev mtu=65522", "mtu"},
	{"MTU of Solo5", first(func(i *muennet.Interface) {
		i.Format, i.MTU, i.WriterProtocol = element.EthDev, 9000, muennet.SoloProtocol
	}), 0, "MTU", "want 1500, or force=1", "flags=eth_dev mtu=9000 writer_protocol=7ade5c549b08e814", "mtu"},
	{"PMTU of raw", first(func(i *muennet.Interface) { i.PMTU = "p" }), 0, "PMTU", "want none for raw", "pmtu=p", "pmtu"},
	{"PMTU", first(func(i *muennet.Interface) { i.Format, i.PMTU = element.NetHdr, ".." }), 0, "PMTU", "the name is a directory", "flags=net_hdr pmtu=..", "pmtu"},
	{"MAC of net_hdr", first(func(i *muennet.Interface) {
		i.Format, i.HardwareAddr = element.NetHdr, net.HardwareAddr{2, 0, 0, 0, 0, 1}
	}), 0, "HardwareAddr", "want none for net_hdr", "flags=net_hdr mac=02:00:00:00:00:01", "mac"},
	{"length of a MAC", ethernet(2, 0, 0), 0, "HardwareAddr", "3 bytes: want 6", "flags=eth_dev mac=02:00:00", "mac"},
	{"empty MAC", ethernet(), 0, "HardwareAddr", "0 bytes: want 6", "flags=eth_dev mac=:", "mac"},
	{"group MAC", ethernet(1, 0, 0, 0, 0, 1), 0, "HardwareAddr", "a group address", "flags=eth_dev mac=01:00:00:00:00:01", "mac"},
	{"zero MAC", ethernet(0, 0, 0, 0, 0, 0), 0, "HardwareAddr", "other than zero", "flags=eth_dev mac=00:00:00:00:00:00", "mac"},
	{"carrier", first(func(i *muennet.Interface) { i.Carrier = 9 }), 0, "Carrier", "interface net0: Carrier carrier(9): want admin or peer", "carrier=nine", "carrier"},
	{"carrier without in", first(func(i *muennet.Interface) { i.Carrier, i.In = muennet.CarrierPeer, "" }), 0, "Carrier", "needs an in channel", "carrier=peer in=", "carrier"},
	{"part of a second", first(func(i *muennet.Interface) { i.Renew = 1500 * time.Millisecond }), 0, "Renew", "want whole seconds from 1s to 1h0m0s, or RenewOff", "renew=1.5", "renew"},
	{"late renewal", first(func(i *muennet.Interface) { i.Renew = time.Hour + time.Second }), 0, "Renew", "want whole seconds", "renew=3601", "renew"},
	{"negative renewal", first(func(i *muennet.Interface) { i.Renew = -time.Second }), 0, "Renew", "or RenewOff", "renew=-1", "renew"},
	{"renewal without in", first(func(i *muennet.Interface) { i.Renew, i.In = time.Second, "" }), 0, "Renew", "needs an in and an out channel", "renew=1 in=", "renew"},
	{"renewal without out", first(func(i *muennet.Interface) { i.Renew, i.Out = time.Second, "" }), 0, "Renew", "needs an in and an out channel", "renew=1 out=", "renew"},
	{"negative poll", func(l *muennet.Load) { l.Poll = -time.Second }, -1, "Poll", "Poll -1s: want whole milliseconds from 1ms to 1193h2m47.295s, or PollFastest", "poll=-1000", "poll"},
	{"fast poll", func(l *muennet.Load) { l.Poll = time.Microsecond }, -1, "Poll", "want whole milliseconds", "poll=0.001", "poll"},
	{"slow poll", func(l *muennet.Load) { l.Poll = 1 << 32 * time.Millisecond }, -1, "Poll", "want whole milliseconds", "poll=4294967296", "poll"},
	{"small channel", func(l *muennet.Load) { l.Create = 64 }, -1, "Create", "Create 64: want at least 65 bytes", "create=64", "create"},
	{"negative channel", func(l *muennet.Load) { l.Create = -1 }, -1, "Create", "want at least 65 bytes", "create=-1", "create"},
	{"negative busy poll", func(l *muennet.Load) { l.BusyPoll = -time.Second }, -1, "BusyPoll", "or BusyPollOff", "busy_poll=-1", "busy_poll"},
	{"long busy poll", func(l *muennet.Load) { l.BusyPoll = time.Second + time.Microsecond }, -1, "BusyPoll", "want whole microseconds from 1µs to 1s", "busy_poll=1000001", "busy_poll"},
	{"part of a microsecond", func(l *muennet.Load) { l.BusyPoll = time.Nanosecond }, -1, "BusyPoll", "want whole microseconds", "busy_poll=0.001", "busy_poll"},
}

func first(change func(*muennet.Interface)) func(*muennet.Load) {
	return func(l *muennet.Load) { change(&l.Interfaces[0]) }
}

func ethernet(mac ...byte) func(*muennet.Load) {
	return first(func(i *muennet.Interface) {
		i.Format, i.HardwareAddr = element.EthDev, append(net.HardwareAddr{}, mac...)
	})
}

// add adds an interface that is valid apart from the change.
func add(change func(*muennet.Interface)) func(*muennet.Load) {
	return func(l *muennet.Load) {
		i := muennet.Interface{Name: "net1", In: "c", ReaderProtocol: 1, Out: "d", WriterProtocol: 1}
		change(&i)
		l.Interfaces = append(l.Interfaces, i)
	}
}

// valid returns a Load that keeps all rules.
func valid() muennet.Load {
	return muennet.Load{Interfaces: []muennet.Interface{{Name: "net0", In: "a", ReaderProtocol: 1, Out: "b", WriterProtocol: 1}}}
}

// validText returns the parameters of valid, overridden by those of text.
func validText(text string) (args []string) {
	for _, arg := range strings.Fields("name=net0 in=a out=b reader_protocol=1 writer_protocol=1") {
		key, _, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(text, key+"=") && !strings.Contains(text, " "+key+"=") {
			args = append(args, arg)
		}
	}
	return append(args, strings.Fields(text)...)
}

// TestRules breaks each rule in a Go program, in parameters, and in a request
// to a running muennet.
func TestRules(t *testing.T) {
	n, err := muennet.Open(muennet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c := control(t)
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.what, " ", "_"), func(t *testing.T) {
			load := valid()
			r.spoil(&load)
			other, opened := muennet.Open(muennet.Config{Load: load})
			if opened == nil {
				other.Close()
			}
			_, loaded := n.Load(load)
			for _, err := range []error{load.Validate(), opened, loaded} {
				var e *muennet.FieldError
				if !errors.As(err, &e) || e.Index != r.index || e.Field != r.field || !strings.Contains(err.Error(), r.want) {
					t.Errorf("error %#v (%v)\nwant %s of interface %d: %s", err, err, r.field, r.index, r.want)
				}
			}
			args := validText(r.text)
			prefix := "parameter " + r.parameter
			if _, err := muennet.ParseLoad(args...); err == nil || !names(err.Error(), prefix) {
				t.Errorf("parameters %q: error %v, want %s", args, err, prefix)
			}
			if _, err := c.Load(t.Context(), api.LoadRequest{Parameters: args}); err == nil || !strings.Contains(err.Error(), prefix) {
				t.Errorf("request %q: error %v, want %s", args, err, prefix)
			}
		})
	}
	if s := n.Status(); len(s) != 0 {
		t.Errorf("loaded nevertheless: %+v", s)
	}
}

// names reports whether text begins with a whole parameter.
func names(text, parameter string) bool {
	rest, ok := strings.CutPrefix(text, parameter)
	return ok && strings.IndexAny(rest, ", :") == 0
}

// control runs a muennet without interfaces until the test ends.
func control(t *testing.T) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Config{Control: path, Logger: slog.New(slog.DiscardHandler), Ready: func() { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client.New(path)
}

// Every field has a rule unless it allows any value.
func TestEveryFieldHasARule(t *testing.T) {
	free := []string{"Interfaces", "Channels", "NoOffload", "Force"}
	for _, typ := range []reflect.Type{reflect.TypeFor[muennet.Load](), reflect.TypeFor[muennet.Interface]()} {
		for _, f := range reflect.VisibleFields(typ) {
			known := false
			for _, r := range rules {
				known = known || r.field == f.Name
			}
			for _, name := range free {
				known = known || name == f.Name
			}
			if !known {
				t.Errorf("%v.%s has no rule", typ, f.Name)
			}
		}
	}
}

// Zero values and sentinels are valid.
func TestZeroValuesAndSentinels(t *testing.T) {
	edges := func(change func(*muennet.Load)) muennet.Load { l := valid(); change(&l); return l }
	for what, l := range map[string]muennet.Load{
		"nothing":  {},
		"defaults": valid(),
		"off": edges(func(l *muennet.Load) {
			l.Poll, l.BusyPoll, l.Interfaces[0].Renew = muennet.PollFastest, muennet.BusyPollOff, muennet.RenewOff
		}),
		"least": edges(func(l *muennet.Load) {
			l.Create, l.Poll, l.BusyPoll, l.Interfaces[0].Renew = 65, time.Millisecond, time.Microsecond, time.Second
		}),
		"most": edges(func(l *muennet.Load) {
			l.Poll, l.BusyPoll, l.Interfaces[0].Renew = (1<<32-1)*time.Millisecond, time.Second, time.Hour
		}),
		"in only":  edges(func(l *muennet.Load) { l.Interfaces[0].Out, l.Interfaces[0].WriterProtocol = "", 0 }),
		"out only": edges(func(l *muennet.Load) { l.Interfaces[0].In, l.Interfaces[0].Renew = "", muennet.RenewOff }),
		"windows":  edges(func(l *muennet.Load) { l.Interfaces[0].In, l.Interfaces[0].Out = "a@0+4K", "a@4K+4K" }),
		"numbered": edges(func(l *muennet.Load) {
			add(func(i *muennet.Interface) { i.Name = "n%d" })(l)
			add(func(i *muennet.Interface) { i.Name, i.Out = "n%d", "e" })(l)
		}),
		"forced": edges(func(l *muennet.Load) {
			i := &l.Interfaces[0]
			i.Format, i.ReaderProtocol, i.MTU, i.Force = element.EthDev, muennet.SoloProtocol, 9000, true
		}),
		"absent id": edges(func(l *muennet.Load) {
			i := &l.Interfaces[0]
			i.Format, i.In, i.ReaderProtocol, i.MTU = element.EthDev, "", muennet.SoloProtocol, 9000
		}),
	} {
		if err := l.Validate(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// ParseLoad, which converts an internal Load, and Net.Load, which does the
// reverse, lose nothing.
func TestParseLoadKeepsEveryField(t *testing.T) {
	load, err := muennet.ParseLoad(validText("flags=net_hdr mtu=1400 pmtu=p carrier=peer offload=off renew=3 force=1 poll=4 busy_poll=5 create=4K")...)
	if err != nil {
		t.Fatal(err)
	}
	want := muennet.Load{Create: 4096, Poll: 4 * time.Millisecond, BusyPoll: 5 * time.Microsecond, Interfaces: []muennet.Interface{{
		Name: "net0", Format: element.NetHdr, In: "a", Out: "b", ReaderProtocol: 1, WriterProtocol: 1, MTU: 1400, PMTU: "p",
		Carrier: muennet.CarrierPeer, NoOffload: true, Renew: 3 * time.Second, Force: true,
	}}}
	if !reflect.DeepEqual(load, want) {
		t.Errorf("got %+v\nwant %+v", load, want)
	}
}
