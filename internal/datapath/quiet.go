package datapath

import "log/slog"

// quiet marks the lines that packets and peers can cause as often as they like.
// The Log of a configuration has to be one that bears it, as a journal.Limit does.
type quiet struct{}

func (*quiet) warn(log *slog.Logger, msg string, args ...any) { log.Warn(msg, args...) }
