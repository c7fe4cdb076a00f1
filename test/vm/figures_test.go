package vm

import (
	"fmt"
	"sync"
)

// figures are what the tests have measured. They are printed at the end and not
// judged: processors are emulated, and the machine is shared.
var figures figureList

type figureList struct {
	mu    sync.Mutex
	lines []string
}

func (f *figureList) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

func (f *figureList) print() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.lines {
		fmt.Println("figure:", line)
	}
}
