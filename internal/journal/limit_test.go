package journal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// noTime is for handlers whose output is compared.
var noTime = &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

// at logs a line of a kind at a time after the start.
func at(h slog.Handler, after time.Duration, kind string) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	_ = h.Handle(context.Background(), slog.NewRecord(begin.Add(after), slog.LevelWarn, kind, 0))
}

func TestLimit(t *testing.T) {
	var out bytes.Buffer
	h := NewLimit(slog.NewTextHandler(&out, noTime))
	lines := func() (got []string) {
		defer out.Reset()
		return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	}
	// A flood of one kind: the burst, then one line each interval.
	const flood = 1000 * time.Second
	for now := time.Duration(0); now < flood; now += time.Millisecond {
		at(h, now, "flood")
	}
	got := lines()
	if want := burst + int(flood/interval) - 1; len(got) != want {
		t.Fatalf("%d lines, want %d", len(got), want)
	}
	each := fmt.Sprintf("level=WARN msg=flood suppressed=%d", interval/time.Millisecond-1)
	for i, line := range got {
		switch {
		case i < burst && line != "level=WARN msg=flood":
			t.Errorf("line %d of the burst: %s", i, line)
		case i > burst && line != each: // the first line after the burst counts from its end
			t.Errorf("line %d: %s, want %s", i, line, each)
		}
	}
	// It does not hide another kind.
	at(h, flood, "other")
	if got := lines(); len(got) != 1 || got[0] != "level=WARN msg=other" {
		t.Errorf("beside the flood: %q", got)
	}
	// After a pause there is a whole burst again, but not more.
	for range 100 {
		at(h, 10*flood, "flood")
	}
	if got := lines(); len(got) != burst || got[0] != each || got[1] != "level=WARN msg=flood" {
		t.Errorf("after a rest: %d lines: %q", len(got), got)
	}
}

// A derived handler shares the limit.
func TestLimitIsShared(t *testing.T) {
	var out bytes.Buffer
	h := NewLimit(slog.NewTextHandler(&out, noTime))
	for i := range 50 {
		at(h.WithAttrs([]slog.Attr{slog.Int("i", i)}), 0, "a")
		at(h.WithGroup("g"), 0, "a")
	}
	if n := strings.Count(out.String(), "\n"); n != burst || !strings.Contains(out.String(), "i=1\n") {
		t.Errorf("%d lines, want %d:\n%s", n, burst, &out)
	}
}

// The record belongs to the caller: the count is added to a copy.
func TestLimitLeavesTheRecord(t *testing.T) {
	var out bytes.Buffer
	h := NewLimit(slog.NewTextHandler(&out, noTime))
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "a", 0)
	for range burst + 1 {
		_ = h.Handle(context.Background(), r)
	}
	r.Time = r.Time.Add(interval)
	out.Reset()
	_ = h.Handle(context.Background(), r)
	if out.String() != "level=INFO msg=a suppressed=1\n" || r.NumAttrs() != 0 {
		t.Errorf("%q, and the record has %d attributes", &out, r.NumAttrs())
	}
}
