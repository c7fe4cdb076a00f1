package names

import (
	"strings"
	"testing"
)

func TestCheckInterface(t *testing.T) {
	const (
		characters = "want no '/', ':', white space or control characters"
		percent    = "want no % except one %d"
		kept       = "the kernel reserves the names all and default"
		dots       = "the kernel refuses . and .. as names"
	)
	for name, want := range map[string]string{
		"net0": "", "n%d": "", "%d": "", "...": "", "é": "", "123456789012345": "",
		"": "the name is empty", strings.Repeat("x", 16): "16 bytes: want at most 15",
		".": dots, "..": dots, "all": kept, "default": kept,
		"a/b": characters, "a:b": characters, "a b": characters, "a\x01": characters, "a\x7f": characters, "à": characters,
		"a%": percent, "%s": percent, "%d%d": percent, "%%d": percent,
	} {
		if err := CheckInterface(name); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("CheckInterface(%q): %v; want %q", name, err, want)
		}
	}
}
