package driver

import (
	"slices"
	"sync"
)

// family is the children of a parent and the marks that each of them has.
// A change needs Driver.change as well.
type family struct {
	mu       sync.Mutex // nothing else is locked under it
	children []*child   // in the order in which they were added
	stranded []childRecord
}

// all returns the present children.
func (f *family) all() []*child {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.children)
}

// named returns the child of that name; nil: there is none.
func (f *family) named(name string) *child {
	for _, c := range f.all() {
		if c.name() == name {
			return c
		}
	}
	return nil
}

func (f *family) add(c *child) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.children = append(f.children, c)
}

func (f *family) remove(c *child) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.children = slices.DeleteFunc(f.children, func(other *child) bool { return other == c })
}

// strand remembers a child that a crash left and that was not adopted.
func (f *family) strand(r childRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stranded = append(f.stranded, r)
}

// holder returns the child that has a mark; nil: the parent has it.
func (f *family) holder(mark uint32) *child {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.children {
		if slices.Contains(c.marks, mark) {
			return c
		}
	}
	return nil
}

// records returns what the state file needs to know of the children.
func (f *family) records() []childRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	records := slices.Clone(f.stranded)
	for _, c := range f.children {
		records = append(records, childRecord{deviceRecord: c.record(), Marks: slices.Clone(c.marks)})
	}
	return records
}

// held returns the marks of the child, in ascending order.
func (c *child) held() []uint32 {
	c.parent.family.mu.Lock()
	defer c.parent.family.mu.Unlock()
	return slices.Clone(c.marks)
}

// hold enters a mark that the child does not have yet.
func (c *child) hold(mark uint32) {
	c.parent.family.mu.Lock()
	defer c.parent.family.mu.Unlock()
	i, _ := slices.BinarySearch(c.marks, mark)
	c.marks = slices.Insert(c.marks, i, mark)
}

// drop removes a mark; false: the child does not have it.
func (c *child) drop(mark uint32) bool {
	c.parent.family.mu.Lock()
	defer c.parent.family.mu.Unlock()
	i, held := slices.BinarySearch(c.marks, mark)
	if held {
		c.marks = slices.Delete(c.marks, i, i+1)
	}
	return held
}
