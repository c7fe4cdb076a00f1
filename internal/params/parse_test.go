package params

import (
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want config.Load
	}{
		{ // one interface
			"name=net0 reader_protocol=2 writer_protocol=2 in=channel_in out=channel_out flags=net_hdr",
			config.Load{Interfaces: []config.Interface{
				{Name: "net0", Format: element.NetHdr, In: "channel_in", Out: "channel_out", ReaderProtocol: 2, WriterProtocol: 2},
			}},
		},
		{ // two interfaces; ids are hexadecimal without 0x, too
			"name=net0,net1 reader_protocol=12,2 writer_protocol=8,2 in=testchannel_1,testchannel_3 out=testchannel_2,testchannel_4 flags=net_hdr,net_hdr",
			config.Load{Interfaces: []config.Interface{
				{Name: "net0", Format: element.NetHdr, In: "testchannel_1", Out: "testchannel_2", ReaderProtocol: 0x12, WriterProtocol: 8},
				{Name: "net1", Format: element.NetHdr, In: "testchannel_3", Out: "testchannel_4", ReaderProtocol: 2, WriterProtocol: 2},
			}},
		},
		{ // everything
			"name=a,b%d in=i|in,/dev/shm/x@8+1M out=o,p reader_protocol=0xffffffffffffffff,0XA writer_protocol=7ade5c549b08e814,1" +
				" mtu=1500,65535 flags=eth_dev,net_hdr pmtu=,q poll=20 mac=02:00:00:00:00:01 carrier=peer,admin offload=off,on busy_poll=50 renew=0,3600 force=1,0",
			config.Load{
				Poll: 20 * time.Millisecond, BusyPoll: 50 * time.Microsecond,
				Interfaces: []config.Interface{
					{Name: "a", Format: element.EthDev, In: "i|in", Out: "o", ReaderProtocol: 1<<64 - 1, WriterProtocol: config.SoloProtocol, MTU: 1500,
						HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Carrier: config.CarrierPeer, NoOffload: true, Renew: config.RenewOff, Force: true},
					{Name: "b%d", Format: element.NetHdr, In: "/dev/shm/x@8+1M", Out: "p", ReaderProtocol: 10, WriterProtocol: 1, MTU: 65535, PMTU: "q", Renew: time.Hour},
				},
			},
		},
		{ // one direction each; the ids of the other and all entries of a skipped name do not matter
			"in=a,bad/skipped, name=x,,y out=,,b reader_protocol=1,zz,0 writer_protocol=7,,2 mtu=,0,9000",
			config.Load{Interfaces: []config.Interface{
				{Name: "x", In: "a", ReaderProtocol: 1},
				{Name: "y", Out: "b", WriterProtocol: 2, MTU: 9000},
			}},
		},
		{ // short and empty lists select defaults; a '-' is a '_'
			"name=x,y in=a,b reader-protocol=1,2 out= mtu= flags=net_hdr",
			config.Load{Interfaces: []config.Interface{
				{Name: "x", In: "a", ReaderProtocol: 1, Format: element.NetHdr},
				{Name: "y", In: "b", ReaderProtocol: 2},
			}},
		},
		{ // numbered names may repeat, and so may windows that do not overlap
			"name=n%d,n%d out=a@0+4K,a@4K+4K writer_protocol=1,1",
			config.Load{Interfaces: []config.Interface{
				{Name: "n%d", Out: "a@0+4K", WriterProtocol: 1},
				{Name: "n%d", Out: "a@4K+4K", WriterProtocol: 1},
			}},
		},
		{ // a fragile peer: forced, or not Ethernet
			"name=x,y out=a,b writer_protocol=7ade5c549b08e814,7ade5c549b08e814 flags=eth_dev,net_hdr mtu=9000,9000 force=1",
			config.Load{Interfaces: []config.Interface{
				{Name: "x", Out: "a", WriterProtocol: config.SoloProtocol, Format: element.EthDev, MTU: 9000, Force: true},
				{Name: "y", Out: "b", WriterProtocol: config.SoloProtocol, Format: element.NetHdr, MTU: 9000},
			}},
		},
		{ // with one direction renew=0 is still allowed
			"name=x,y in=a,b reader_protocol=1,1 renew=0",
			config.Load{Interfaces: []config.Interface{
				{Name: "x", In: "a", ReaderProtocol: 1, Renew: config.RenewOff},
				{Name: "y", In: "b", ReaderProtocol: 1},
			}},
		},
		{ // the limits of each range
			"name=123456789012345,b,c,d,e,f in=a,b,c,d,e,f reader_protocol=1,1,1,1,1,1 flags=,,net_hdr,net_hdr,eth_dev,eth_dev mtu=1,65535,68,65535,68,65521 poll=60000 busy_poll=0",
			config.Load{Poll: time.Minute, BusyPoll: config.BusyPollOff, Interfaces: []config.Interface{
				{Name: "123456789012345", In: "a", ReaderProtocol: 1, MTU: 1},
				{Name: "b", In: "b", ReaderProtocol: 1, MTU: 65535},
				{Name: "c", In: "c", ReaderProtocol: 1, Format: element.NetHdr, MTU: 68},
				{Name: "d", In: "d", ReaderProtocol: 1, Format: element.NetHdr, MTU: 65535},
				{Name: "e", In: "e", ReaderProtocol: 1, Format: element.EthDev, MTU: 68},
				{Name: "f", In: "f", ReaderProtocol: 1, Format: element.EthDev, MTU: 65521},
			}},
		},
	} {
		got, err := Parse(strings.Fields(c.line))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%s)\n got %+v, %v\nwant %+v", c.line, got, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const ok = "name=net0 in=a out=b reader_protocol=1 writer_protocol=1 "
	const two = "name=net0,net1 in=a,c out=b,d reader_protocol=1,2 writer_protocol=1,2 "
	const known = "want one of name, in, out, reader_protocol, writer_protocol, mtu, flags, pmtu, poll, mac, carrier, offload, busy_poll, renew, create, force"
	const hexadecimal = "want a hexadecimal number of at most 64 bits, with or without 0x"
	const solo = "protocol 7ade5c549b08e814 is for Solo5/MirageOS peers, which do not check lengths: want 1500, or force=1"
	for _, c := range []struct{ line, want string }{
		{"", "parameter name: missing: want the name of at least one interface"},
		{"name=", "parameter name: missing: want the name of at least one interface"},
		{"name=,,", "parameter name: missing: want the name of at least one interface"},
		{"in=a out=b", "parameter name: missing: want the name of at least one interface"},
		{"net0", `argument "net0": want PARAMETER=VALUE`},
		{ok + "in=\xff", `argument "in=\xff": want UTF-8`},
		{ok + "speed=1", `parameter "speed": unknown: ` + known},
		{ok + "=1", `parameter "": unknown: ` + known},
		{ok + "MTU=1500", `parameter "MTU": unknown: ` + known},
		{ok + "mtu=1500 mtu=1400", `parameter mtu: given twice, "1500" and "1400": want one list`},
		{ok + "reader-protocol=3", `parameter reader_protocol: given twice, "1" and "3": want one list`},

		{"name=net0 in=a,b reader_protocol=1", "parameter in: 2 entries: want at most 1, one for each entry of name"},
		{"name=x,,y in=a,b,c,", "parameter in: 4 entries: want at most 3, one for each entry of name"},
		{ok + "force=1,1", "parameter force: 2 entries: want at most 1, one for each entry of name"},

		{"name=1234567890123456 in=a", `parameter name, entry 1 "1234567890123456": 16 bytes: want at most 15`},
		{"name=a,.", `parameter name, entry 2 ".": the kernel refuses . and .. as names`},
		{"name=..", `parameter name, entry 1 "..": the kernel refuses . and .. as names`},
		{"name=all", `parameter name, entry 1 "all": the kernel reserves the names all and default`},
		{"name=,default", `parameter name, entry 2 "default": the kernel reserves the names all and default`},
		{"name=a/b", `parameter name, entry 1 "a/b": want no '/', ':', white space or control characters`},
		{"name=a:b", `parameter name, entry 1 "a:b": want no '/', ':', white space or control characters`},
		{"name=a\x01", `parameter name, entry 1 "a\x01": want no '/', ':', white space or control characters`},
		{"name=à", `parameter name, entry 1 "à": want no '/', ':', white space or control characters`},
		{"name=a%", `parameter name, entry 1 "a%": want no % except one %d`},
		{"name=%s", `parameter name, entry 1 "%s": want no % except one %d`},
		{"name=%d%d", `parameter name, entry 1 "%d%d": want no % except one %d`},
		{"name=a,,a in=a,b,c reader_protocol=1,1,1", `parameter name, entry 3 "a": an earlier interface has the same name`},

		{"name=net0", `parameter in, entry 1 "" (interface net0): out is empty as well: want a channel for at least one direction`},
		{"name=a,b in=x,y,", "parameter in: 3 entries: want at most 2, one for each entry of name"},
		{"name=a,b in=x reader_protocol=1", `parameter in, entry 2 "" (interface b): out is empty as well: want a channel for at least one direction`},
		{"name=net0 in=a/b", `parameter in, entry 1 "a/b" (interface net0): want a name without '/' or an absolute path`},
		{"name=net0 out=a@4+64", `parameter out, entry 1 "a@4+64" (interface net0): window offset 4: want a multiple of 8`},
		{ok + "pmtu=..", `parameter pmtu, entry 1 ".." (interface net0): the name is a directory`},
		{"name=x,y out=a,a writer_protocol=1,1", `parameter out, entry 2 "a" (interface y): interface x already writes it: want one writer per channel`},
		{"name=x,y out=/d/a,/d/./a writer_protocol=1,1", `parameter out, entry 2 "/d/./a" (interface y): interface x already writes it: want one writer per channel`},
		{"name=x,y,z out=a@0+4K,b,a@4088+64 writer_protocol=1,1,1", `parameter out, entry 3 "a@4088+64" (interface z): interface x already writes it: want one writer per channel`},
		{"name=x,y out=pci:00:04.0,pci:0000:00:04.0@1M+1M writer_protocol=1,1", `parameter out, entry 2 "pci:0000:00:04.0@1M+1M" (interface y): interface x already writes it: want one writer per channel`},
		{"name=x,y out=pci:00:0A.0@0+1M,pci:00:0a.0@1048568+1M writer_protocol=1,1", `parameter out, entry 2 "pci:00:0a.0@1048568+1M" (interface y): interface x already writes it: want one writer per channel`},
		{"name=x out=pci:4.0 writer_protocol=1", `parameter out, entry 1 "pci:4.0" (interface x): device "4.0": want pci:BUS:DEV.FN or pci:DOMAIN:BUS:DEV.FN, hexadecimal, such as pci:00:04.0`},
		{"name=x,y out=a,a@0+64 writer_protocol=1,1", `parameter out, entry 2 "a@0+64" (interface y): interface x already writes it: want one writer per channel`},

		{ok + "out=", `parameter out: given twice, "b" and "": want one list`},
		{"name=x in=a out=a reader_protocol=1 writer_protocol=1", `parameter out, entry 1 "a" (interface x): overlaps in: want a channel for each direction`},
		{"name=net0 in=a", `parameter reader_protocol, entry 1 "" (interface net0): missing or 0: want the protocol id of in=a, hexadecimal`},
		{"name=net0 out=b", `parameter writer_protocol, entry 1 "" (interface net0): missing or 0: want the protocol id of out=b, hexadecimal`},
		{"name=net0 in=a reader_protocol=0", `parameter reader_protocol, entry 1 "0" (interface net0): missing or 0: want the protocol id of in=a, hexadecimal`},
		{"name=x,y in=a,b reader_protocol=1,0x0", `parameter reader_protocol, entry 2 "0x0" (interface y): missing or 0: want the protocol id of in=b, hexadecimal`},
		{"name=x,y in=a,b reader_protocol=1", `parameter reader_protocol, entry 2 "" (interface y): missing or 0: want the protocol id of in=b, hexadecimal`},
		{"name=net0 in=a reader_protocol=g", `parameter reader_protocol, entry 1 "g" (interface net0): ` + hexadecimal},
		{"name=net0 in=a reader_protocol=0x", `parameter reader_protocol, entry 1 "0x" (interface net0): ` + hexadecimal},
		{"name=net0 in=a reader_protocol=-1", `parameter reader_protocol, entry 1 "-1" (interface net0): ` + hexadecimal},
		{"name=net0 in=a reader_protocol=0x0x1", `parameter reader_protocol, entry 1 "0x0x1" (interface net0): ` + hexadecimal},
		{"name=net0 out=a writer_protocol=1_0", `parameter writer_protocol, entry 1 "1_0" (interface net0): ` + hexadecimal},
		{"name=net0 out=a writer_protocol=10000000000000000", `parameter writer_protocol, entry 1 "10000000000000000" (interface net0): ` + hexadecimal},
		{"name=net0 in=a reader_protocol=1 writer_protocol=g", `parameter writer_protocol, entry 1 "g" (interface net0): ` + hexadecimal},

		{ok + "mtu=0", `parameter mtu, entry 1 "0" (interface net0): want a decimal number from 1 to 65535`},
		{ok + "mtu=-1", `parameter mtu, entry 1 "-1" (interface net0): want a decimal number from 1 to 65535`},
		{ok + "mtu=+1500", `parameter mtu, entry 1 "+1500" (interface net0): want a decimal number from 1 to 65535`},
		{two + "mtu=,0x100", `parameter mtu, entry 2 "0x100" (interface net1): want a decimal number from 1 to 65535`},
		{ok + "mtu=65536", `parameter mtu, entry 1 "65536" (interface net0): want a decimal number from 1 to 65535`},
		{ok + "mtu=4294967297", `parameter mtu, entry 1 "4294967297" (interface net0): want a decimal number from 1 to 65535`},
		{ok + "mtu=1.5", `parameter mtu, entry 1 "1.5" (interface net0): want a decimal number from 1 to 65535`},
		{ok + "mtu=67 flags=net_hdr", `parameter mtu, entry 1 "67" (interface net0): want 68 to 65535 for net_hdr`},
		{ok + "flags=eth_dev mtu=65522", `parameter mtu, entry 1 "65522" (interface net0): want 68 to 65521 for eth_dev`},
		{"name=x in=a reader_protocol=7ade5c549b08e814 flags=eth_dev mtu=1400", `parameter mtu, entry 1 "1400" (interface x): ` + solo},
		{"name=x out=a writer_protocol=7ADE5C549B08E814 flags=eth_dev mtu=9000 force=0", `parameter mtu, entry 1 "9000" (interface x): ` + solo},

		{ok + "flags=net", `parameter flags, entry 1 "net" (interface net0): unknown flag "net": want net_hdr or eth_dev`},
		{ok + "flags=NET_HDR", `parameter flags, entry 1 "NET_HDR" (interface net0): unknown flag "NET_HDR": want net_hdr or eth_dev`},
		{ok + "flags=net_hdr+", `parameter flags, entry 1 "net_hdr+" (interface net0): unknown flag "": want net_hdr or eth_dev`},
		{ok + "flags=net_hdr+net_hdr", `parameter flags, entry 1 "net_hdr+net_hdr" (interface net0): flag net_hdr given twice`},
		{ok + "flags=net_hdr+eth_dev", `parameter flags, entry 1 "net_hdr+eth_dev" (interface net0): net_hdr and eth_dev exclude each other: an element holds an IP packet or an Ethernet frame`},

		{ok + "pmtu=p", `parameter pmtu, entry 1 "p" (interface net0): want none for raw: only net_hdr has path MTUs`},
		{two + "pmtu=,p flags=net_hdr,eth_dev", `parameter pmtu, entry 2 "p" (interface net1): want none for eth_dev: only net_hdr has path MTUs`},

		{ok + "poll=", `parameter poll "": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "poll=-1", `parameter poll "-1": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "poll=09", `parameter poll "09": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "poll=0x", `parameter poll "0x": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "poll=1_0", `parameter poll "1_0": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "create=1X", `parameter create "1X": size "1X": want a number with an optional K, M or G, below 2^63`},
		{ok + "create=64", `parameter create "64": want at least 65 bytes`},
		{two + "create=1M,1M", `parameter create "1M,1M": size "1M,1M": want a number with an optional K, M or G, below 2^63`},
		{two + "poll=1,1", `parameter poll "1,1": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "poll=4294967296", `parameter poll "4294967296": want a number from 0 to 4294967295, hexadecimal with 0x, octal with 0`},
		{ok + "busy_poll=-1", `parameter busy_poll "-1": want a decimal number from 0 to 1000000`},
		{ok + "busy_poll=1000001", `parameter busy_poll "1000001": want a decimal number from 0 to 1000000`},

		{ok + "mac=02:00:00:00:00:01", `parameter mac, entry 1 "02:00:00:00:00:01" (interface net0): want none for raw: only eth_dev has addresses`},
		{ok + "flags=eth_dev mac=1", `parameter mac, entry 1 "1" (interface net0): want six hexadecimal bytes such as 02:00:00:00:00:01`},
		{ok + "flags=eth_dev mac=02-00-00-00-00-01", `parameter mac, entry 1 "02-00-00-00-00-01" (interface net0): want six hexadecimal bytes such as 02:00:00:00:00:01`},
		{ok + "flags=eth_dev mac=02:00:00:00:00:00:00:01", `parameter mac, entry 1 "02:00:00:00:00:00:00:01" (interface net0): want six hexadecimal bytes such as 02:00:00:00:00:01`},
		{ok + "flags=eth_dev mac=00:00:00:00:00:00", `parameter mac, entry 1 "00:00:00:00:00:00" (interface net0): want an address other than zero`},
		{ok + "flags=eth_dev mac=01:00:5e:00:00:01", `parameter mac, entry 1 "01:00:5e:00:00:01" (interface net0): a group address: want one whose first byte is even`},
		{ok + "flags=eth_dev mac=ff:ff:ff:ff:ff:ff", `parameter mac, entry 1 "ff:ff:ff:ff:ff:ff" (interface net0): a group address: want one whose first byte is even`},

		{ok + "carrier=on", `parameter carrier, entry 1 "on" (interface net0): want admin or peer`},
		{"name=x out=a writer_protocol=1 carrier=peer", `parameter carrier, entry 1 "peer" (interface x): needs an in channel`},
		{ok + "offload=1", `parameter offload, entry 1 "1" (interface net0): want on or off`},
		{ok + "renew=3601", `parameter renew, entry 1 "3601" (interface net0): want a decimal number from 0 to 3600`},
		{ok + "renew=-1", `parameter renew, entry 1 "-1" (interface net0): want a decimal number from 0 to 3600`},
		{ok + "renew=2s", `parameter renew, entry 1 "2s" (interface net0): want a decimal number from 0 to 3600`},
		{"name=x out=a writer_protocol=1 renew=1", `parameter renew, entry 1 "1" (interface x): needs an in and an out channel`},
		{"name=x,y in=a,b out=c reader_protocol=1,1 writer_protocol=1 renew=1,1", `parameter renew, entry 2 "1" (interface y): needs an in and an out channel`},
		{ok + "force=yes", `parameter force, entry 1 "yes" (interface net0): want 0 or 1`},
	} {
		got, err := Parse(strings.Fields(c.line))
		if err == nil || err.Error() != c.want {
			t.Errorf("Parse(%s)\n got %v\nwant %s", c.line, err, c.want)
		}
		if !reflect.DeepEqual(got, config.Load{}) {
			t.Errorf("Parse(%s): an error and a config %+v", c.line, got)
		}
	}
	// Fields would remove white space.
	if _, err := Parse([]string{"name=a b"}); err == nil || err.Error() != `parameter name, entry 1 "a b": want no '/', ':', white space or control characters` {
		t.Errorf("a name with a space: %v", err)
	}
}

// Parse understands every parameter of the table, in any order.
func TestEveryParameterAnyOrder(t *testing.T) {
	values := map[string]string{
		"name": "a", "in": "x", "out": "y", "reader_protocol": "1", "writer_protocol": "2", "mtu": "1400", "flags": "net_hdr", "pmtu": "p",
		"poll": "2", "mac": "", "carrier": "peer", "offload": "off", "busy_poll": "3", "renew": "4", "create": "4K", "force": "1",
	}
	var args []string
	for _, p := range Parameters() {
		value, ok := values[p.Name]
		if !ok {
			t.Fatalf("parameter %s has no test", p.Name)
		}
		args = append(args, p.Name+"="+value)
	}
	want := config.Load{Create: 4096, Poll: 2 * time.Millisecond, BusyPoll: 3 * time.Microsecond, Interfaces: []config.Interface{{
		Name: "a", Format: element.NetHdr, In: "x", Out: "y", ReaderProtocol: 1, WriterProtocol: 2, MTU: 1400, PMTU: "p",
		Carrier: config.CarrierPeer, NoOffload: true, Renew: 4 * time.Second, Force: true,
	}}}
	for range args {
		args = append(args[1:], args[0])
		if got, err := Parse(args); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v", args, got, err)
		}
	}
}

// arguments writes a Load as parameters again.
func arguments(c config.Load) []string {
	lists := map[string][]string{}
	for _, i := range c.Interfaces {
		mtu, flags, offload, renew, force := "", "", "on", "", "0"
		if i.MTU != 0 {
			mtu = fmt.Sprint(i.MTU)
		}
		if i.Format != element.Raw {
			flags = i.Format.String()
		}
		if i.NoOffload {
			offload = "off"
		}
		if i.Renew != 0 {
			renew = fmt.Sprint(int(max(0, i.Renew).Seconds()))
		}
		if i.Force {
			force = "1"
		}
		for key, value := range map[string]string{
			"name": i.Name, "in": i.In, "out": i.Out, "mtu": mtu, "flags": flags, "pmtu": i.PMTU, "mac": i.HardwareAddr.String(),
			"reader_protocol": fmt.Sprintf("%x", i.ReaderProtocol), "writer_protocol": fmt.Sprintf("%#x", i.WriterProtocol),
			"carrier": i.Carrier.String(), "offload": offload, "renew": renew, "force": force,
		} {
			lists[key] = append(lists[key], value)
		}
	}
	var args []string
	for key, values := range lists {
		args = append(args, key+"="+strings.Join(values, ","))
	}
	if c.Poll != 0 {
		args = append(args, fmt.Sprintf("poll=%d", max(0, c.Poll).Milliseconds()))
	}
	if c.Create != 0 {
		args = append(args, fmt.Sprintf("create=%d", c.Create))
	}
	if c.BusyPoll != 0 {
		args = append(args, fmt.Sprintf("busy_poll=%d", max(0, c.BusyPoll).Microseconds()))
	}
	return args
}

// lines are command lines used with the kernel module.
var lines = []string{
	"name=net0 reader_protocol=2 writer_protocol=2 in=channel_in out=channel_out flags=net_hdr",
	"name=net0,net1 reader_protocol=12,2 writer_protocol=8,2 in=testchannel_1,testchannel_3 out=testchannel_2,testchannel_4 flags=net_hdr,net_hdr",
	"name=net0 in=in0 out=outjumbo flags=net_hdr reader_protocol=2 writer_protocol=2 mtu=9000",
	"name=net0 in=in0 out=out0 flags=eth_dev reader_protocol=7ade5c549b08e814 writer_protocol=7ade5c549b08e814",
	"name=net0 in=in0 out=out0 mtu=256 reader_protocol=1 writer_protocol=1",
	"name=net0 in=in0 out=out0 flags=net_hdr reader_protocol=12 writer_protocol=8",
	"name=net0 in=in0 out=out0 flags=net_hdr reader_protocol=2 writer_protocol=2 pmtu=pmtu0",
	"name=net0 in=keyfender|in out=keyfender|out flags=eth_dev reader_protocol=7ade5c549b08e814 writer_protocol=7ade5c549b08e814 mac=02:00:00:00:00:01",
}

func TestRoundTrip(t *testing.T) {
	for _, line := range lines {
		first, err := Parse(strings.Fields(line))
		if err != nil {
			t.Errorf("Parse(%s): %v", line, err)
			continue
		}
		again, err := Parse(arguments(first))
		if err != nil || !reflect.DeepEqual(first, again) {
			t.Errorf("%s\nfirst %+v\nagain %+v, %v", line, first, again, err)
		}
	}
}

// A parameter and the field it sets have one row, so that what Validate says of
// the field is said of the parameter.
func TestEveryFieldHasAParameter(t *testing.T) {
	rows := make(map[string]int)
	for _, d := range table {
		rows[d.field]++
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[config.Load](), reflect.TypeFor[config.Interface]()} {
		for _, f := range reflect.VisibleFields(typ) {
			want := 1
			if f.Name == "Interfaces" || f.Name == "Channels" { // no parameters
				want = 0
			}
			if rows[f.Name] != want {
				t.Errorf("%d parameters for %s", rows[f.Name], f.Name)
			}
			delete(rows, f.Name)
		}
	}
	if len(rows) != 0 {
		t.Errorf("parameters of no field: %v", rows)
	}
}

// TestPoll: the numbers that the kernel takes for a uint.
func TestPoll(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": config.PollFastest, "00": config.PollFastest, "0x0": config.PollFastest,
		"1": time.Millisecond, "+1": time.Millisecond, "10": 10 * time.Millisecond,
		"010": 8 * time.Millisecond, "0x10": 16 * time.Millisecond, "0XfF": 255 * time.Millisecond,
		"4294967295": config.MaxPoll,
	} {
		load, err := Parse([]string{"name=net0", "in=a", "reader_protocol=1", "poll=" + text})
		if err != nil || load.Poll != want {
			t.Errorf("poll=%s: %v, %v, want %v", text, load.Poll, err, want)
		}
	}
}
