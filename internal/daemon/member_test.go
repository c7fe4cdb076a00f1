package daemon

import (
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
)

// memberGroup is the control group in these tests.
const memberGroup = 4711

// TestMemberLoads: what root may load, and a member of the control group not.
func TestMemberLoads(t *testing.T) {
	base := `"name=net0","reader_protocol=1","writer_protocol=2","flags=net_hdr"`
	for _, tc := range []struct{ parameters, channels, refused string }{
		{`"in=a","out=b","pmtu=c","mtu=1400","poll=5","force=0"`, "", ""},
		{`"in=a"`, "/ch", ""},
		{`"in=a"`, "/ch/", ""},
		{`"in=a"`, "/", "channels=/"},
		{`"in=a"`, "/ch/../etc", "channels=/ch/../etc"},
		{`"in=/etc/shadow"`, "", "in=/etc/shadow"},
		{`"in=/ch/a"`, "", "in=/ch/a"},
		{`"out=/etc/shadow"`, "", "out=/etc/shadow"},
		{`"in=a@0+8"`, "", "in=a@0+8"},
		{`"out=a@64K+64K"`, "", "out=a@64K+64K"},
		{`"in=pci:00:04.0"`, "", "in=pci:00:04.0"},
		{`"out=pci:0000:00:04.0"`, "", "out=pci:0000:00:04.0"},
		{`"in=a","pmtu=/etc/shadow"`, "", "pmtu=/etc/shadow"},
		{`"in=a","force=1"`, "", "force=1"},
		{`"in=a","create=1M"`, "", "create=1048576"},
	} {
		body := `{"parameters":[` + base + `,` + tc.parameters + `],"channels":"` + tc.channels + `"}`
		for _, who := range []caller{{uid: nobody, gid: memberGroup}, {uid: 0}, {uid: os.Geteuid()}} {
			f := &fakeNet{}
			s := newServer(f, api.Version{}, memberGroup, quiet())
			s.channels = "/ch"
			w := askAs(s, who, "POST", api.PathInterfaces, body)
			if tc.refused == "" || who.owner() {
				if w.Code != http.StatusOK || len(f.names) != 1 {
					t.Errorf("uid %d, %s: answer %d %s", who.uid, body, w.Code, w.Body)
				}
				continue
			}
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), tc.refused+": not allowed: members of the control group") || len(f.names) != 0 {
				t.Errorf("uid %d, %s: answer %d %s, want a refusal of %s", who.uid, body, w.Code, w.Body, tc.refused)
			}
		}
	}
}

// TestMemberFields: every text of an interface but its name is taken for the
// name of a file, also one that a later version adds.
func TestMemberFields(t *testing.T) {
	fields := reflect.VisibleFields(reflect.TypeFor[muennet.Interface]())
	texts := 0
	for _, f := range fields {
		if f.Type.Kind() != reflect.String || f.Name == "Name" {
			continue
		}
		texts++
		i := muennet.Interface{Name: "net0"}
		for value, allowed := range map[string]bool{"a": true, "/etc/shadow": false} {
			reflect.ValueOf(&i).Elem().FieldByIndex(f.Index).SetString(value)
			if err := checkMember(muennet.Load{Interfaces: []muennet.Interface{i}}, "/ch"); (err == nil) != allowed {
				t.Errorf("%s = %s: %v", f.Name, value, err)
			}
		}
	}
	if texts < 3 {
		t.Errorf("found %d texts, want In, Out and PMTU at least", texts)
	}
}
