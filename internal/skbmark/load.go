package skbmark

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/shortage"
)

// spec is the template of the programs of all devices. Each device needs its
// own programs, because a program is bound to its map.
var spec = sync.OnceValues(loadPrograms)

// load loads programs into a struct for ebpf.CollectionSpec.LoadAndAssign.
// replace maps the names of programs to those of their replacements.
func load(programs any, replace map[string]string) error {
	if err := shortage.Descriptors(descriptors); err != nil {
		return err
	}
	s, err := spec()
	if err != nil {
		return err
	}
	s = s.Copy()
	for name, other := range replace {
		s.Programs[name] = s.Programs[other]
	}
	return s.LoadAndAssign(programs, nil)
}

// share maps the only value of an array into memory. The value has size bytes.
// share closes the array; the mapping and the programs keep it alive.
func share(array *ebpf.Map, size uintptr) ([]byte, error) {
	defer array.Close()
	if uintptr(array.ValueSize()) != size {
		return nil, fmt.Errorf("map %v: it has %d bytes, not %d", array, array.ValueSize(), size)
	}
	mem, err := unix.Mmap(array.FD(), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %v: %w", array, err)
	}
	return mem, nil
}
