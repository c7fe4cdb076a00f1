package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// logLevel returns the level of this name.
func logLevel(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", name)
}

func checkFormat(name string) error {
	if name != "text" && name != "json" {
		return fmt.Errorf("--log-format: %q is neither text nor json", name)
	}
	return nil
}

// handler returns a handler that writes to w in the format of --log-format.
func (a *app) handler(w io.Writer, o slog.HandlerOptions) (slog.Handler, error) {
	level, err := logLevel(a.logLevel)
	if err != nil {
		return nil, err
	}
	o.Level = level
	if a.logFormat == "json" {
		return slog.NewJSONHandler(w, &o), nil
	}
	return slog.NewTextHandler(w, &o), nil
}

// backgroundHandler logs to syslog if its socket exists, otherwise to
// muennet.log next to the control socket. The file also becomes stdout and
// stderr of the process, so that it keeps the stack trace of a crash.
func (a *app) backgroundHandler(syslogSocket string) (slog.Handler, error) {
	if w, err := syslog.Dial("unixgram", syslogSocket, syslog.LOG_DAEMON|syslog.LOG_INFO, "muennet"); err == nil {
		return a.syslogHandler(w)
	}
	path := filepath.Join(filepath.Dir(a.control), "muennet.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	for fd := 1; fd <= 2; fd++ {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return nil, fmt.Errorf("open log: dup3: %w", err)
		}
	}
	return a.handler(f, slog.HandlerOptions{})
}

// syslogHandler sends each record to syslog with its level as the priority.
type syslogHandler struct {
	format slog.Handler // writes into line.text
	line   *syslogLine
}

// syslogLine is shared by all handlers derived from one.
type syslogLine struct {
	mu   sync.Mutex
	text bytes.Buffer
	out  *syslog.Writer
}

func (a *app) syslogHandler(out *syslog.Writer) (slog.Handler, error) {
	l := &syslogLine{out: out}
	format, err := a.handler(&l.text, slog.HandlerOptions{
		ReplaceAttr: func(groups []string, at slog.Attr) slog.Attr {
			switch {
			case len(groups) > 0:
			case at.Key == slog.LevelKey: // it is the priority
				return slog.Attr{}
			case at.Key == slog.TimeKey && at.Value.Kind() == slog.KindTime && time.Since(at.Value.Time()) < lateLine:
				return slog.Attr{}
			}
			return at
		},
	})
	if err != nil {
		return nil, err
	}
	return syslogHandler{format, l}, nil
}

func (h syslogHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.format.Enabled(ctx, l)
}

func (h syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return syslogHandler{h.format.WithAttrs(attrs), h.line}
}

func (h syslogHandler) WithGroup(name string) slog.Handler {
	return syslogHandler{h.format.WithGroup(name), h.line}
}

func (h syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	l := h.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	if err := h.format.Handle(ctx, r); err != nil {
		return err
	}
	text := string(bytes.TrimSpace(l.text.Bytes()))
	switch {
	case r.Level >= slog.LevelError:
		return l.out.Err(text)
	case r.Level >= slog.LevelWarn:
		return l.out.Warning(text)
	case r.Level >= slog.LevelInfo:
		return l.out.Info(text)
	}
	return l.out.Debug(text)
}
