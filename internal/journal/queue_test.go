package journal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stalling is a handler that writes nothing until flow is closed.
type stalling struct {
	slog.Handler
	flow chan struct{}
}

func (s stalling) Handle(ctx context.Context, r slog.Record) error {
	<-s.flow
	return s.Handler.Handle(ctx, r)
}

func (s stalling) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stalling{s.Handler.WithAttrs(attrs), s.flow}
}

// A stalled log does not block its callers. A line says how many are missing,
// and where.
func TestQueueDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		flow := make(chan struct{})
		q := NewQueue(stalling{slog.NewTextHandler(&out, noTime), flow})
		log := slog.New(q)
		log.Info("first")
		synctest.Wait() // the first line is being written
		const missing = 77
		for i := range maxLines + missing {
			log.Info("line", "i", i)
		}
		if q.Flush(time.Second) {
			t.Fatal("all lines are written although the log stalls")
		}
		close(flow)
		if !q.Flush(time.Hour) {
			t.Fatal("not all lines are written although the log flows")
		}
		log.Info("last")
		synctest.Wait()

		var want strings.Builder
		want.WriteString("level=INFO msg=first\n")
		for i := range maxLines {
			fmt.Fprintf(&want, "level=INFO msg=line i=%d\n", i)
		}
		fmt.Fprintf(&want, "level=WARN msg=%q lines=%d\nlevel=INFO msg=last\n", "lines dropped: the log is too slow", missing)
		if out.String() != want.String() {
			t.Errorf("written:\n%s\nwant:\n%s", &out, &want)
		}
	})
}

// Lines logged after dropped ones come after the line that reports those.
func TestQueueTellsWhereLinesAreMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := NewQueue(slog.NewTextHandler(&out, noTime))
		q.lines, q.lost = make([]line, 0, maxLines), 3 // as while a batch is being written
		slog.New(q).Info("behind")
		synctest.Wait()
		if want := "level=WARN msg=\"lines dropped: the log is too slow\" lines=3\nlevel=INFO msg=behind\n"; out.String() != want {
			t.Errorf("written:\n%s\nwant:\n%s", &out, want)
		}
	})
}

func TestQueueKeepsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		flow := make(chan struct{})
		q := NewQueue(stalling{slog.NewTextHandler(&out, nil), flow})
		want := "time=" + time.Now().Format("2006-01-02T15:04:05.000Z07:00") + " "
		slog.New(q).Info("early")
		time.Sleep(time.Hour)
		close(flow)
		synctest.Wait()
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("written %q, want %q...", &out, want)
		}
	})
}

// state is a value that changes.
type state struct{ n *int }

func (s state) LogValue() slog.Value { return slog.IntValue(*s.n) }

// Values are those at the time of logging.
func TestQueueResolvesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		flow := make(chan struct{})
		n := 1
		log := slog.New(NewQueue(stalling{slog.NewTextHandler(&out, noTime), flow}))
		log.With("with", state{&n}).Info("m", "plain", state{&n}, slog.Group("g", "member", state{&n}))
		n = 2
		close(flow)
		synctest.Wait()
		if want := "level=INFO msg=m with=1 plain=1 g.member=1\n"; out.String() != want {
			t.Errorf("written %q, want %q", &out, want)
		}
	})
}

// Groups, attributes and levels are those of the handler after the queue, and
// there is only one queue however often NewQueue is called.
func TestQueueIsTransparent(t *testing.T) {
	var direct, queued bytes.Buffer
	write := func(h slog.Handler) {
		log := slog.New(h).With("a", 1).WithGroup("g").With("b", 2)
		log.Debug("debugged", "c", 3)
		log.Error("erred", "c", 3)
	}
	level := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: noTime.ReplaceAttr}
	write(slog.NewJSONHandler(&direct, level))
	q := NewQueue(slog.NewJSONHandler(&queued, level))
	derived := q.WithAttrs(nil)
	if NewQueue(derived) != derived {
		t.Error("NewQueue put a queue in front of a queue")
	}
	write(q)
	if !q.Flush(time.Minute) || !q.Flush(0) {
		t.Error("the lines are not written")
	}
	if direct.String() != queued.String() {
		t.Errorf("written %s, want %s", &queued, &direct)
	}
}

func TestQueueTakesFromMany(t *testing.T) {
	var out bytes.Buffer
	q := NewQueue(slog.NewTextHandler(&out, noTime))
	const each = maxLines / 8
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			log := slog.New(q)
			for i := range each {
				log.Info("m")
				if i%10 == 0 {
					q.Flush(0)
				}
			}
		})
	}
	all.Wait()
	if !q.Flush(time.Minute) {
		t.Error("the lines are not written")
	}
	if n := strings.Count(out.String(), "\n"); n != 8*each {
		t.Errorf("%d lines, want %d", n, 8*each)
	}
}
