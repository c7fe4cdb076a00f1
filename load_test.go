package muennet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"reflect"
	"testing"

	"github.com/muennet/muennet/element"
)

// The conversion to the packages below and back loses nothing. The compiler
// checks that an Interface has the same fields there.
func TestLoadIsConvertedWhole(t *testing.T) {
	l := Load{Channels: "/ch", Create: 65, Poll: 1, BusyPoll: 2, Interfaces: []Interface{
		{Name: "a", Format: element.EthDev, In: "i", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}},
		{Name: "b", Out: "o", Carrier: CarrierPeer, Renew: RenewOff},
	}}
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test lacks %s", v.Type().Field(i).Name)
		}
	}
	if got := loadOf(l.internal()); !reflect.DeepEqual(got, l) {
		t.Errorf("got %+v\nwant %+v", got, l)
	}
}

// Every field of a configuration has documentation in go doc.
func TestEveryFieldIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := 0
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		structs++
		for _, f := range s.Fields.List {
			if f.Doc.Text() == "" {
				t.Errorf("%v has no comment", f.Names)
			}
		}
		return true
	})
	if structs != 3 {
		t.Errorf("%d structs: want Interface, Load and FieldError", structs)
	}
}
