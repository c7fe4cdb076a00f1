package params

import (
	"reflect"
	"slices"
	"testing"
)

func TestParseCommandLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want CommandLine
	}{
		{"", CommandLine{}},
		{"BOOT_IMAGE=/vmlinuz quiet muennet muen.x=1 muennet2.poll=1 xmuennet.poll=1\n",
			CommandLine{Others: []string{"BOOT_IMAGE=/vmlinuz", "quiet", "muennet", "muen.x=1", "muennet2.poll=1", "xmuennet.poll=1"}}},
		{"muennet.name=net0,net1 quiet muennet.in=a|out,b|out",
			CommandLine{Parameters: []string{"name=net0,net1", "in=a|out,b|out"}, Others: []string{"quiet"}}},
		// The last one counts, in whatever spelling.
		{"muennet.poll=1 muennet.name=net0 muennet.poll=2", CommandLine{Parameters: []string{"name=net0", "poll=2"}}},
		{"muennet.reader-protocol=1 muennet.reader_protocol=2", CommandLine{Parameters: []string{"reader_protocol=2"}}},
		{"muennet.reader_protocol=1 muennet.reader-protocol=a-b", CommandLine{Parameters: []string{"reader_protocol=a-b"}}},
		// Quotes around a value, or around a whole word.
		{`muennet.in="a b" "muennet.out=c d" run="/bin/x y"`,
			CommandLine{Parameters: []string{"in=a b", "out=c d"}, Others: []string{"run=/bin/x y"}}},
		{`muennet.in="" muennet.out="open end`, CommandLine{Parameters: []string{"in=", "out=open end"}}},
		// Beyond -- is the first process's.
		{"muennet.poll=1 -- muennet.poll=2 -- x=1", CommandLine{Parameters: []string{"poll=1"}, Others: []string{"muennet.poll=2", "--", "x=1"}}},
		{"--", CommandLine{}},
		{"--x muennet.poll=1", CommandLine{Parameters: []string{"poll=1"}, Others: []string{"--x"}}},
		{"muennet.auto muennet.channels=/a muennet.mtu=1500 muennet.channels=/b",
			CommandLine{Auto: true, Channels: "/b", Parameters: []string{"mtu=1500"}}},
		// What is wrong with these, Parse says.
		{"muennet.poll muennet.=1", CommandLine{Parameters: []string{"poll", "=1"}}},
	} {
		if got := ParseCommandLine(c.line); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q is read as %+v, want %+v", c.line, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \t\n", nil},
		{"a", []string{"a"}},
		{"a  b\tc\v\f\r\n", []string{"a", "b", "c"}},
		{"name=net0 in=a|in out=%d$x", []string{"name=net0", "in=a|in", "out=%d$x"}},
		{`  name="a b"  c="" `, []string{"name=a b", "c="}},
		{`in="/x y"/z out=\n#`, []string{"in=/x y/z", `out=\n#`}},
		{`"" b`, []string{"", "b"}},
		{"a=\xff b", []string{"a=\xff", "b"}},
	} {
		if got, closed := Words(c.text); !closed || !slices.Equal(got, c.want) {
			t.Errorf("%q is cut into %q, %v, want %q", c.text, got, closed, c.want)
		}
	}
	if got, closed := Words(`a="open end`); closed || !slices.Equal(got, []string{"a=open end"}) {
		t.Errorf("an open quote: %q, %v", got, closed)
	}
}

func TestLastOfEach(t *testing.T) {
	for _, c := range []struct{ words, want []string }{
		{nil, nil},
		{[]string{"poll=5", "name=a", "poll=7"}, []string{"name=a", "poll=7"}},
		{[]string{"name=a", "name=b", "name=a"}, []string{"name=a"}},
		{[]string{"flag", "name=a", "flag"}, []string{"name=a", "flag"}},
		{[]string{"busy-poll=1", "busy_poll=2"}, []string{"busy_poll=2"}},
	} {
		if got := LastOfEach(c.words); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
}

// TestReadCommandLine: the kernel that runs this has one, and no muennet
// module.
func TestReadCommandLine(t *testing.T) {
	if _, err := ReadCommandLine(); err != nil {
		t.Error(err)
	}
}
