package api

import (
	"net/url"
	"strconv"
)

// Paths of the API.
const (
	PathVersion    = "/v1/version"
	PathInterfaces = "/v1/interfaces"
	PathChildren   = "/v1/children"
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

// PathChild is the path of one child.
func PathChild(child string) string {
	return PathChildren + "/" + url.PathEscape(child)
}

// PathMarks is the path of the marks of a child.
func PathMarks(child string) string { return PathChild(child) + "/marks" }

// PathMark is the path of one of them.
func PathMark(child string, mark uint32) string {
	return PathMarks(child) + "/" + strconv.FormatUint(uint64(mark), 10)
}

// Version says what is running.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // with "+dirty" when the tree had changes
	Go      string `json:"go"`
	PID     int    `json:"pid,omitempty"` // of the running muennet
}

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

// AddChildRequest asks for an interface that shares the channels of another.
type AddChildRequest struct {
	Parent string `json:"parent"`
	Child  string `json:"child"` // name of the new interface, 1 to 15 bytes
}

// AddMarkRequest sends the packets of a mark to a child.
type AddMarkRequest struct {
	Mark uint32 `json:"mark"` // not 0
}

// ShutdownRequest ends muennet. An empty body is the zero value.
type ShutdownRequest struct {
	// Idle makes the request fail with 409 as long as there are interfaces.
	Idle bool `json:"idle,omitempty"`
}
