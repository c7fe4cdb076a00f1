package params

import (
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/region"
)

// found returns pairs with these names, as in a directory without modes.
func found(names ...string) (pairs []pairing.Pair) {
	for _, x := range names {
		pairs = append(pairs, pairing.Pair{Name: x, In: region.Info{Name: x + "|out"}, Out: region.Info{Name: x + "|in"}})
	}
	return pairs
}

// ethernet is the result of Auto for the pair x without overrides.
func ethernet(name, x string) config.Interface {
	return config.Interface{Name: name, Format: element.EthDev, In: x + "|out", Out: x + "|in",
		ReaderProtocol: config.SoloProtocol, WriterProtocol: config.SoloProtocol}
}

func TestAuto(t *testing.T) {
	net0, net1, net2 := ethernet("net0", "a"), ethernet("net1", "b"), ethernet("net2", "c")
	with := func(i config.Interface, f func(*config.Interface)) config.Interface { f(&i); return i }
	mtu := func(n int) func(*config.Interface) { return func(i *config.Interface) { i.MTU, i.Force = n, true } }
	named := func(s string) func(*config.Interface) { return func(i *config.Interface) { i.Name = s } }
	for _, c := range []struct {
		line string
		want config.Load
	}{
		{"", config.Load{Interfaces: []config.Interface{net0, net1, net2}}},
		// One entry applies to all, several to their positions, an
		// empty one to none.
		{"mtu=9000 force=1", config.Load{Interfaces: []config.Interface{with(net0, mtu(9000)), with(net1, mtu(9000)), with(net2, mtu(9000))}}},
		{"mtu=,9000 force=,1,", config.Load{Interfaces: []config.Interface{net0, with(net1, mtu(9000)), net2}}},
		{"flags=net_hdr,,net_hdr reader-protocol=1,2 writer_protocol=,,0x3", config.Load{Interfaces: []config.Interface{
			with(net0, func(i *config.Interface) { i.Format, i.ReaderProtocol = element.NetHdr, 1 }),
			with(net1, func(i *config.Interface) { i.ReaderProtocol = 2 }),
			with(net2, func(i *config.Interface) { i.Format, i.WriterProtocol = element.NetHdr, 3 })}}},
		{"flags= mtu= mac=", config.Load{Interfaces: []config.Interface{net0, net1, net2}}},
		{"flags=net_hdr pmtu=,table", config.Load{Interfaces: []config.Interface{
			with(net0, func(i *config.Interface) { i.Format = element.NetHdr }),
			with(net1, func(i *config.Interface) { i.Format, i.PMTU = element.NetHdr, "table" }),
			with(net2, func(i *config.Interface) { i.Format = element.NetHdr })}}},
		// Unique values only apply to the first, unless numbered.
		{"name=wan", config.Load{Interfaces: []config.Interface{with(net0, named("wan")), net1, net2}}},
		{"name=,wan,", config.Load{Interfaces: []config.Interface{net0, with(net1, named("wan")), net2}}},
		{"name=m%d", config.Load{Interfaces: []config.Interface{with(net0, named("m%d")), with(net1, named("m%d")), with(net2, named("m%d"))}}},
		{"mac=02:00:00:00:00:01 carrier=peer", config.Load{Interfaces: []config.Interface{
			with(net0, func(i *config.Interface) {
				i.HardwareAddr, i.Carrier = net.HardwareAddr{2, 0, 0, 0, 0, 1}, config.CarrierPeer
			}),
			with(net1, func(i *config.Interface) { i.Carrier = config.CarrierPeer }),
			with(net2, func(i *config.Interface) { i.Carrier = config.CarrierPeer })}}},
		// Global parameters.
		{"poll=5 busy_poll=7", config.Load{Interfaces: []config.Interface{net0, net1, net2}, Poll: 5 * time.Millisecond, BusyPoll: 7 * time.Microsecond}},
	} {
		args, err := Auto(strings.Fields(c.line), found("a", "b", "c"))
		if err != nil {
			t.Errorf("Auto(%s): %v", c.line, err)
			continue
		}
		if got, err := Parse(args); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Auto(%s) = %q\n got %+v, %v\nwant %+v", c.line, args, got, err, c.want)
		}
	}
}

// Auto uses the directions of the pairs, whatever their suffixes.
func TestAutoTakesDirections(t *testing.T) {
	pairs := []pairing.Pair{{Name: "a", In: region.Info{Name: "a|in"}, Out: region.Info{Name: "a|out"}}}
	want := []string{"name=net0", "in=a|in", "out=a|out", "reader_protocol=7ade5c549b08e814", "writer_protocol=7ade5c549b08e814", "flags=eth_dev"}
	if got, err := Auto(nil, pairs); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}

func TestAutoErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"in=a", `parameter in: not together with auto, which finds the channels itself`},
		{"mtu=1 out=", `parameter out: not together with auto, which finds the channels itself`},
		{"mtu=1,2,3", `parameter mtu: 3 entries: want at most 2, one for each pair of channels`},
		{"name=a,b,", `parameter name: 3 entries: want at most 2, one for each pair of channels`},
		{"mtu=1 mtu=2", `parameter mtu: given twice, "1" and "2": want one list`},
		{"what=1", `parameter "what": unknown: want one of name, in, `},
		{"what", `argument "what": want PARAMETER=VALUE`},
		// Parse reports these, with the text as written.
		{"name=net1", `parameter name, entry 2 "net1": an earlier interface has the same name`},
		{"mtu=,9000", `parameter mtu, entry 2 "9000" (interface net1): protocol 7ade5c549b08e814 is for Solo5/MirageOS peers`},
		{"flags=eth", `parameter flags, entry 1 "eth" (interface net0): unknown flag "eth": want net_hdr or eth_dev`},
		{"reader_protocol=0", `parameter reader_protocol, entry 1 "0" (interface net0): missing or 0`},
		{"poll=x", `parameter poll "x": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{"pmtu=t", `parameter pmtu, entry 1 "t" (interface net0): want none for eth_dev: only net_hdr has path MTUs`},
	} {
		args, err := Auto(strings.Fields(c.line), found("a", "b"))
		if err == nil {
			_, err = Parse(args)
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("Auto(%s)\n got %v\nwant %s", c.line, err, c.want)
		}
	}
}

// FuzzAuto: no text changes which channels are used, and a valid result has as
// many interfaces as there are pairs.
func FuzzAuto(f *testing.F) {
	f.Add("name=a,b\nmtu=1500", "a", "b")
	f.Add("flags=net_hdr\nreader_protocol=,2\npoll=5", "x|in", "")
	f.Add("name=n%d\nmac=02:00:00:00:00:01", "in=x out=y", "|")
	f.Fuzz(func(t *testing.T, text, x, y string) {
		pairs := pairing.Of([]region.Info{{Name: x + "|in", Mode: 0o600}, {Name: x + "|out", Mode: 0o600}, {Name: y + "|in", Mode: 0o400}, {Name: y + "|out", Mode: 0o600}}).Pairs
		if len(pairs) == 0 {
			return
		}
		args, err := Auto(strings.Split(text, "\n"), pairs)
		if err != nil {
			return
		}
		config, err := Parse(args)
		if err != nil {
			return
		}
		if len(config.Interfaces) != len(pairs) {
			t.Fatalf("%d interfaces of %d pairs", len(config.Interfaces), len(pairs))
		}
		checkConfig(t, config)
		for i, p := range pairs {
			if c := config.Interfaces[i]; c.In != p.In.Name || c.Out != p.Out.Name {
				t.Fatalf("%+v of %+v", c, p)
			}
		}
	})
}
