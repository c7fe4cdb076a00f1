package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxLines is the capacity of a queue. As many lines again may be in the
// process of being written.
const maxLines = 1024

// Queue is a handler that only stores a line. A goroutine, which exists while
// there are lines, passes them to the handler that writes. When the queue is
// full, lines are dropped and counted. Once the log flows again, a line says
// how many, at the point where they are missing.
//
// The values of attributes must not change after they were logged. Those that
// are a slog.LogValuer are resolved at once.
type Queue struct {
	next slog.Handler
	*queue
}

// queue is what all handlers derived from one Queue share.
type queue struct {
	plain slog.Handler // for lines of its own

	mu    sync.Mutex
	lines []line
	lost  uint64        // lines dropped after the last of lines
	idle  chan struct{} // closed when all lines are written; nil if they are
}

// line is a record and its destination.
type line struct {
	ctx    context.Context
	to     slog.Handler
	record slog.Record
	lost   uint64 // lines dropped before this one
}

// NewQueue returns a Queue in front of next. If next is a Queue, it returns
// next.
func NewQueue(next slog.Handler) *Queue {
	if q, ok := next.(*Queue); ok {
		return q
	}
	return &Queue{next, &queue{plain: next}}
}

// Enabled reports whether the handler after the queue handles records of the
// level.
func (q *Queue) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

// WithAttrs returns a handler of the same queue that adds the attributes to its
// lines.
func (q *Queue) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Queue{q.next.WithAttrs(attrs), q.queue}
}

// WithGroup returns a handler of the same queue that puts the attributes of its
// lines into a group.
func (q *Queue) WithGroup(name string) slog.Handler {
	return &Queue{q.next.WithGroup(name), q.queue}
}

// Handle stores r and does not wait. It returns no error, because the handler
// after the queue runs later.
func (q *Queue) Handle(ctx context.Context, r slog.Record) error {
	q.put(line{ctx: context.WithoutCancel(ctx), to: q.next, record: resolved(r)})
	return nil
}

// Flush waits until all lines are written, but no longer than limit, and
// reports whether they are. Remaining lines are still written while the process
// lives.
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
	if len(q.lines) == maxLines {
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

// write writes lines until there are none left.
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

// take returns the waiting lines and the number dropped after them. It reuses
// spent as the buffer for the next lines.
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

// tell logs how many lines are missing.
func (q *queue) tell(lost uint64) {
	ctx := context.Background()
	if lost == 0 || !q.plain.Enabled(ctx, slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines dropped: the log is too slow", 0)
	r.AddAttrs(slog.Uint64("lines", lost))
	_ = q.plain.Handle(ctx, r)
}

// resolved returns a copy of r whose values are resolved.
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
