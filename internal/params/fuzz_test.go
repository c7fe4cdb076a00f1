package params

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/region"
)

// FuzzParse checks the rules independently: no text gives a Load that breaks
// one, and every Load can be written as parameters again.
func FuzzParse(f *testing.F) {
	for _, line := range lines {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Add("name=a,,b%d\nin=x@8+64,,y\nreader_protocol=1,,2\npoll=5\nbusy_poll=7\ncarrier=peer\noffload=off,,on\nforce=1\nrenew=0,,3")
	f.Add("name=a,a\nout=x,x@0+64\nwriter-protocol=0x1,0\nmtu=0\nflags=net_hdr+eth_dev")
	f.Fuzz(func(t *testing.T, text string) {
		load, err := Parse(strings.Split(text, "\n"))
		if err != nil {
			if !reflect.DeepEqual(load, config.Load{}) {
				t.Fatalf("error %v with config %+v", err, load)
			}
			return
		}
		checkConfig(t, load)
		again, err := Parse(arguments(load))
		if err != nil || !reflect.DeepEqual(load, again) {
			t.Fatalf("first %+v\nagain %+v, %v", load, again, err)
		}
	})
}

func checkConfig(t *testing.T, c config.Load) {
	if len(c.Interfaces) == 0 || c.Channels != "" || c.Poll < 0 || c.Poll > time.Minute || c.BusyPoll < 0 && c.BusyPoll != config.BusyPollOff || c.BusyPoll > time.Second {
		t.Fatalf("config %+v", c)
	}
	taken, outs := map[string]bool{}, map[string]bool{}
	for _, i := range c.Interfaces {
		if i.Name == "" || len(i.Name) > 15 || strings.ContainsAny(i.Name, " \t\n\v\f\r/:,\x00") || strings.IndexByte(i.Name, 0xa0) >= 0 || i.Name == "." || i.Name == ".." {
			t.Fatalf("name %q", i.Name)
		}
		if taken[i.Name] && !strings.Contains(i.Name, "%d") || strings.Count(i.Name, "%") > 1 {
			t.Fatalf("name %q", i.Name)
		}
		taken[i.Name] = true
		if i.Out != "" && outs[i.Out] {
			t.Fatalf("two writers of %s", i.Out)
		}
		outs[i.Out] = true
		if i.In == i.Out || (i.In == "") != (i.ReaderProtocol == 0) || (i.Out == "") != (i.WriterProtocol == 0) {
			t.Fatalf("directions of %+v", i)
		}
		for _, channel := range []string{i.In, i.Out, i.PMTU} {
			if _, err := region.ParseSpec("/", channel); channel != "" && err != nil {
				t.Fatal(err)
			}
		}
		if i.MTU != 0 {
			var lowest, highest int
			switch i.Format {
			case element.Raw:
				lowest, highest = 1, 65535
			case element.NetHdr:
				lowest, highest = 68, 65535
			case element.EthDev:
				lowest, highest = 68, 65521
			}
			if i.MTU < lowest || i.MTU > highest {
				t.Fatalf("mtu of %+v", i)
			}
			if i.Format == element.EthDev && i.MTU != 1500 && !i.Force && (i.ReaderProtocol == config.SoloProtocol || i.WriterProtocol == config.SoloProtocol) {
				t.Fatalf("mtu of %+v", i)
			}
		}
		if i.Renew != config.RenewOff && (i.Renew < 0 || i.Renew > time.Hour || i.Renew > 0 && (i.In == "" || i.Out == "")) {
			t.Fatalf("renew of %+v", i)
		}
		if i.PMTU != "" && i.Format != element.NetHdr || i.Carrier == config.CarrierPeer && i.In == "" {
			t.Fatalf("interface %+v", i)
		}
		if a := i.HardwareAddr; a != nil && (len(a) != 6 || i.Format != element.EthDev || a[0]&1 != 0 || bytes.Equal(a, make([]byte, 6))) {
			t.Fatalf("address of %+v", i)
		}
	}
}

// FuzzModprobeOptions: any text gives words, or an error with a line number.
func FuzzModprobeOptions(f *testing.F) {
	f.Add("# c\noptions muennet a=b \\\n c=\"d e\"\nalias x y\n")
	f.Add("options muennet \"\\\"\noptions")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := ModprobeOptions(strings.NewReader(text), Module)
		if err != nil {
			if words != nil || !strings.HasPrefix(err.Error(), "line ") {
				t.Fatalf("%q, %v", words, err)
			}
			return
		}
		total := 0
		for _, w := range words {
			total += len(w)
		}
		if total > len(text) {
			t.Fatalf("%d bytes out of %d", total, len(text))
		}
	})
}
