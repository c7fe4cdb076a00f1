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

// QueryName is the query key that names the interfaces of a DELETE of
// PathInterfaces. It may be repeated.
const QueryName = "name"

// MaxBody is the maximum size of a request body in bytes.
const MaxBody = 1 << 20

// DefaultControl is the default path of the socket.
const DefaultControl = "/run/muennet/control.sock"

// PathInterface returns the path of an interface.
func PathInterface(name string) string {
	return PathInterfaces + "/" + url.PathEscape(name)
}

// PathChild returns the path of a child.
func PathChild(child string) string {
	return PathChildren + "/" + url.PathEscape(child)
}

// PathMarks returns the path of the marks of a child.
func PathMarks(child string) string { return PathChild(child) + "/marks" }

// PathMark returns the path of a mark of a child.
func PathMark(child string, mark uint32) string {
	return PathMarks(child) + "/" + strconv.FormatUint(uint64(mark), 10)
}

// Version describes the running program.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // with "+dirty" if the tree had changes
	Go      string `json:"go"`
	PID     int    `json:"pid,omitempty"` // of the running muennet
}

// LoadRequest creates interfaces: all of them or, on error, none.
type LoadRequest struct {
	// Parameters are in the syntax of the kernel module, one "key=value"
	// each, such as "name=net0,net1".
	Parameters []string `json:"parameters"`
	// Channels is the absolute path of the directory for channels given by
	// name. Empty means the directory that muennet was started with.
	Channels string `json:"channels,omitempty"`
}

// LoadResponse is the result of a load.
type LoadResponse struct {
	// Interfaces are the names, with %d resolved, in the order of the
	// request.
	Interfaces []string `json:"interfaces"`
	// Already are those of Interfaces that were loaded before, with the same
	// configuration, and have not been changed; absent: none.
	Already []string `json:"already,omitempty"`
}

// UnloadResponse is the result of an unload.
type UnloadResponse struct {
	// Ending says that these were the last interfaces of a muennet that load
	// started, which now ends; absent: it keeps running.
	Ending bool `json:"ending,omitempty"`
}

// AddChildRequest creates an interface that shares the channels of another.
type AddChildRequest struct {
	Parent string `json:"parent"`
	Child  string `json:"child"` // name of the new interface, 1 to 15 bytes
}

// AddMarkRequest directs the packets of a mark to a child.
type AddMarkRequest struct {
	Mark uint32 `json:"mark"` // not 0
}

// ShutdownRequest stops muennet. An empty body is the zero value.
type ShutdownRequest struct {
	// Idle makes the request fail with 409 if there are interfaces.
	Idle bool `json:"idle,omitempty"`
}
