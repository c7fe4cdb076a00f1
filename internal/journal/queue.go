package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// most is how many lines a queue holds. While that many are written, as many
// again may wait.
const most = 1024

// Queue is a handler that only notes a line; a goroutine, which there is while
// there are lines, hands it to the handler that writes. When the queue is full
// lines are dropped, and counted: once the log flows again a line tells how many,
// at the place where they are missing.
//
// The values of attributes must not change after they were logged. Those that
// are a slog.LogValuer are asked for their value at once.
type Queue struct {
	next slog.Handler
	*queue
}

// queue is what all handlers derived from one Queue share.
type queue struct {
	plain slog.Handler // for lines of its own

	mu    sync.Mutex
	lines []line
	lost  uint64        // dropped since the last of lines
	idle  chan struct{} // closed when all is written; nil if it is
}

// line is a record and where it goes.
type line struct {
	ctx    context.Context
	to     slog.Handler
	record slog.Record
	lost   uint64 // lines that were dropped before this one
}

// NewQueue returns a Queue in front of next; next itself if it is one already.
func NewQueue(next slog.Handler) *Queue {
	if q, ok := next.(*Queue); ok {
		return q
	}
	return &Queue{next, &queue{plain: next}}
}

// Enabled reports whether the handler behind the queue handles records of the
// level.
func (q *Queue) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

// WithAttrs returns a handler of the same queue whose lines have the attributes,
// too.
func (q *Queue) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Queue{q.next.WithAttrs(attrs), q.queue}
}

// WithGroup returns a handler of the same queue whose lines have their
// attributes in a group.
func (q *Queue) WithGroup(name string) slog.Handler {
	return &Queue{q.next.WithGroup(name), q.queue}
}

// Handle notes r, and does not wait. It returns no error: what the handler
// behind the queue says comes too late for the caller.
func (q *Queue) Handle(ctx context.Context, r slog.Record) error {
	q.put(line{ctx: context.WithoutCancel(ctx), to: q.next, record: resolved(r)})
	return nil
}

// Flush waits until all lines are written, but no longer than limit, and reports
// whether they are. What is left then is still written as far as the process
// lives and the log takes it.
func (q *Queue) Flush(limit time.Duration) bool {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return true
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-idle:
		return true
	case <-late.C:
		return false
	}
}

func (q *queue) put(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == most {
		q.lost++
		return
	}
	l.lost, q.lost = q.lost, 0
	q.lines = append(q.lines, l)
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.write()
	}
}

// write writes until there is nothing left.
func (q *queue) write() {
	var lines []line
	for {
		var lost uint64
		if lines, lost = q.take(lines); len(lines) == 0 {
			return
		}
		for _, l := range lines {
			q.tell(l.lost)
			_ = l.to.Handle(l.ctx, l.record)
		}
		q.tell(lost)
	}
}

// take gives the lines that wait, and how many were dropped behind them. spent is
// room for the next ones.
func (q *queue) take(spent []line) (lines []line, lost uint64) {
	clear(spent)
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, lost = q.lines, q.lost
	q.lines, q.lost = spent[:0], 0
	if len(lines) == 0 {
		close(q.idle)
		q.idle = nil
	}
	return lines, lost
}

// tell says how many lines are missing.
func (q *queue) tell(lost uint64) {
	ctx := context.Background()
	if lost == 0 || !q.plain.Enabled(ctx, slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines were dropped: the log did not take them", 0)
	r.AddAttrs(slog.Uint64("lines", lost))
	_ = q.plain.Handle(ctx, r)
}

// resolved returns a copy of r that asks nothing of its values later.
func resolved(r slog.Record) slog.Record {
	c := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		c.AddAttrs(resolvedAttr(a))
		return true
	})
	return c
}

func resolvedAttr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() != slog.KindGroup {
		return a
	}
	var members []slog.Attr
	for _, m := range a.Value.Group() {
		members = append(members, resolvedAttr(m))
	}
	return slog.Attr{Key: a.Key, Value: slog.GroupValue(members...)}
}
