package params

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/muennet/muennet/internal/config"
)

// Describe spells a field of a configuration, as a [config.Error] or a
// [config.Difference] names it, like the parameter that sets it. An empty value
// is "(none)", an address derived from machine and channels "(derived)".
func Describe(field string, value any) (parameter, text string) {
	i := slices.IndexFunc(table, func(d definition) bool { return d.field == field })
	if i < 0 {
		return field, fmt.Sprint(value)
	}
	return table[i].Name, spell(field, value)
}

func spell(field string, value any) string {
	switch v := value.(type) {
	case string:
		if v == "" {
			return "(none)"
		}
	case uint64: // protocol ids
		return fmt.Sprintf("%x", v)
	case net.HardwareAddr:
		if v == nil {
			return "(derived)"
		}
	case bool:
		switch {
		case field == "NoOffload" && v:
			return "off"
		case field == "NoOffload":
			return "on"
		case v:
			return "1"
		}
		return "0"
	case time.Duration:
		return fmt.Sprint(int64(max(0, v) / unit(field)))
	}
	return fmt.Sprint(value)
}

// unit is what the parameter of a field counts.
func unit(field string) time.Duration {
	switch field {
	case "Poll":
		return config.MinPoll
	case "BusyPoll":
		return config.MinBusyPoll
	}
	return config.MinRenew
}
