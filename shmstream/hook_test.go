package shmstream

// The methods below shadow those that control embeds from words. So in the test
// build every access of Reader and Writer to the header comes through here, and
// a test can let the other side run between any two of them. The shipped build
// contains none of this.

// hooked guards the two hooks, which one test at a time may set.
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

// hookLoad calls the hook with the hooks disabled, so that it may use the
// channel.
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

// intercept calls load before each load and store before each store while f
// runs. Either may be nil.
func intercept(load, store func(word), f func()) {
	onLoad, onStore, hooked = load, store, true
	defer func() { onLoad, onStore, hooked = nil, nil, false }()
	f()
}
