// Package journal keeps logging from doing harm. It has two slog.Handlers that
// wrap the one that writes. A [Queue] never blocks its caller, however slow the
// log. A [Limit] limits the rate of lines with the same message.
//
// Both may be used by several goroutines at once and while holding any lock:
// the caller only copies one record. They rely on Enabled, WithAttrs and
// WithGroup of the wrapped handler to return at once.
//
//	q := journal.NewQueue(slog.NewTextHandler(os.Stderr, nil))
//	defer q.Flush(time.Second)
//	log := slog.New(q)                                // for actions of the administrator
//	peer := slog.New(journal.NewLimit(log.Handler())) // for what peers can trigger
//
// A queue writes lines in the order in which they were logged, with the time of
// logging.
package journal
