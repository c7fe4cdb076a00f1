package api

import (
	"net/url"

	"github.com/muennet/muennet/internal/driver"
)

// Paths of the API.
const (
	PathVersion    = "/v1/version"
	PathInterfaces = "/v1/interfaces"
	PathShutdown   = "/v1/shutdown"
)

// QueryName is the query key, given any number of times, that names the
// interfaces a DELETE of PathInterfaces is meant for.
const QueryName = "name"

// MaxBody is the longest request body in bytes that is read.
const MaxBody = 1 << 20

// DefaultControl is where the socket is when nothing else is said.
const DefaultControl = "/run/muennet/control.sock"

// PathInterface is the path of one interface.
func PathInterface(name string) string {
	return PathInterfaces + "/" + url.PathEscape(name)
}

// Version says what is running.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // with "+dirty" when the tree had changes
	Go      string `json:"go"`
	PID     int    `json:"pid,omitempty"` // of the running muennet
}

// What is known of one interface at one moment, and of its parts.
type (
	Interface = driver.Status
	Channel   = driver.Channel // the state of one end of a channel
	Writer    = driver.WriterStatus
	Reader    = driver.ReaderStatus
	Stats     = driver.Stats // the kernel module's counters
)

// LoadRequest asks for interfaces: all of them or, on an error, none.
type LoadRequest struct {
	// Parameters in the kernel module's syntax, one "key=value" each, for
	// example "name=net0,net1".
	Parameters []string `json:"parameters"`
	// Channels is the absolute path of the directory in which channels given
	// by name are found; empty means the directory muennet was started with.
	Channels string `json:"channels,omitempty"`
}

// LoadResponse tells what a load created.
type LoadResponse struct {
	// Interfaces are the names, with %d resolved, in the order of the request.
	Interfaces []string `json:"interfaces"`
}

// ShutdownRequest ends muennet. An empty body is the zero value.
type ShutdownRequest struct {
	// Idle makes the request fail with 409 as long as there are interfaces.
	Idle bool `json:"idle,omitempty"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	Error string `json:"error"`
}
