package shmstream

// The methods below hide those that control has from words, so in the test
// build every access of Reader and Writer to the header comes through here, and
// a test can put a step of the other side between any two of them. The
// shipped build has no trace of it.

// hooked guards the two hooks, which are set by one test at a time.
var (
	hooked  bool
	onLoad  func(word)
	onStore func(word)
)

func (c control) load(i word) uint64 {
	if hooked {
		hookLoad(i)
	}
	return c.words.load(i)
}

func (c control) store(i word, v uint64) {
	if hooked {
		hookStore(i)
	}
	c.words.store(i, v)
}

// hookLoad calls the hook with the hooks off, so that it may use the channel.
func hookLoad(i word) {
	if onLoad == nil {
		return
	}
	hooked = false
	onLoad(i)
	hooked = true
}

func hookStore(i word) {
	if onStore == nil {
		return
	}
	hooked = false
	onStore(i)
	hooked = true
}

// intercept calls load before each load and store before each store (nil:
// nothing) while f runs.
func intercept(load, store func(word), f func()) {
	onLoad, onStore, hooked = load, store, true
	defer func() { onLoad, onStore, hooked = nil, nil, false }()
	f()
}
