// Package journal keeps a log from doing harm: two slog.Handlers that wrap the
// one that writes. A [Queue] never blocks its caller, however long the log takes
// to write. A [Limit] passes on so many lines of a kind and no more, however
// often they are logged.
//
// Both may be used by several goroutines at once, and under any lock: what a
// caller spends is the copy of one record. They trust the handler that they wrap
// only to return from Enabled, WithAttrs and WithGroup at once, as slog asks.
//
//	q := journal.NewQueue(slog.NewTextHandler(os.Stderr, nil))
//	defer q.Flush(time.Second)
//	log := slog.New(q)                                // for the administrator's own doing
//	peer := slog.New(journal.NewLimit(log.Handler())) // for what others can cause
//
// A queue writes lines in the order in which they were logged, with the time at
// which they were logged.
package journal
