package driver

import (
	"runtime"
	"time"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/doorbell"
)

// The configuration of a load; package config has the rules.
type (
	Interface = config.Interface
	Config    = config.Load
)

// busyPoll returns what c.BusyPoll means on this machine; 0: off.
func busyPoll(c Config) time.Duration {
	switch {
	case c.BusyPoll != 0:
		return max(0, c.BusyPoll)
	case runtime.NumCPU() > 1 && !doorbell.Crowded():
		return config.DefaultBusyPoll
	}
	return 0
}
