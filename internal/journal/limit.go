package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Limit passes burst lines of a kind at once, and then one each interval.
const (
	burst    = 10
	interval = 20 * time.Second
)

// Limit is a handler that passes ten lines of a kind and then three a minute.
// The attribute "suppressed" of the next line of that kind says how many were
// suppressed. Lines with the same message are of one kind, so that a flood of
// one kind does not hide the others. So messages must be constants. The
// handlers derived by WithAttrs and WithGroup share the limit.
type Limit struct {
	next  slog.Handler
	kinds *kinds
}

// NewLimit returns a Limit in front of next.
func NewLimit(next slog.Handler) *Limit {
	return &Limit{next, &kinds{all: make(map[string]*bucket)}}
}

// Enabled reports whether next handles records of the level.
func (l *Limit) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// WithAttrs returns a handler that adds the attributes to its lines.
func (l *Limit) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Limit{l.next.WithAttrs(attrs), l.kinds}
}

// WithGroup returns a handler that puts the attributes of its lines into a
// group.
func (l *Limit) WithGroup(name string) slog.Handler {
	return &Limit{l.next.WithGroup(name), l.kinds}
}

// Handle passes r on, or counts it. It uses the time of the record as its
// clock.
func (l *Limit) Handle(ctx context.Context, r slog.Record) error {
	suppressed, ok := l.kinds.take(r.Message, r.Time)
	if !ok {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("suppressed", suppressed))
	}
	return l.next.Handle(ctx, r)
}

// kinds holds a bucket for each message.
type kinds struct {
	mu  sync.Mutex
	all map[string]*bucket
}

// take takes a token for a message and returns how many lines found none
// before.
func (k *kinds) take(message string, now time.Time) (suppressed uint64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.all[message]
	if b == nil {
		b = &bucket{}
		k.all[message] = b
	}
	return b.take(now)
}

// bucket is a token bucket. Instead of tokens it keeps the time at which it is
// full again, which each line moves by an interval. The zero bucket is full.
type bucket struct {
	full       time.Time
	suppressed uint64
}

func (b *bucket) take(now time.Time) (suppressed uint64, ok bool) {
	if b.full.Before(now) {
		b.full = now
	}
	if b.full.Sub(now) > (burst-1)*interval {
		b.suppressed++
		return 0, false
	}
	b.full = b.full.Add(interval)
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}
