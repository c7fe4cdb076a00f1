package region

import "testing"

func TestPlainFile(t *testing.T) {
	_, path := file(t, 4096)
	r := open(t, path, ReadWrite)
	if r.Kind() != Plain || !r.Futex() || r.EventPath() != "" {
		t.Errorf("kind %v, futex %v, events %q", r.Kind(), r.Futex(), r.EventPath())
	}
	if r.Descriptor() != r.fd || r.fd < 0 {
		t.Errorf("descriptor %d, want %d", r.Descriptor(), r.fd)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r.Descriptor() != -1 {
		t.Errorf("descriptor %d after Close, want -1", r.Descriptor())
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{Plain: "file", Muenfs: "muenfs", PCI: "pci"} {
		if k.String() != want {
			t.Errorf("kind %d is %q, want %q", k, k, want)
		}
	}
}

// The event file has the name of the channel, whatever characters it contains.
func TestEventPath(t *testing.T) {
	r := &Region{spec: Spec{Path: "/muenfs/keyfender|in", Offset: 64, Length: 128, Windowed: true}, kind: Muenfs}
	if got, want := r.EventPath(), "/muenevents/keyfender|in"; got != want {
		t.Errorf("event %q, want %q", got, want)
	}
	if r.Futex() {
		t.Error("futexes on memory that is mapped by page frame number")
	}
}
