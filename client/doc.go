// Package client talks to a running muennet through its control socket.
//
//	c := client.New(api.DefaultControl)
//	names, err := c.Load(ctx, api.LoadRequest{Parameters: []string{
//		"name=net0", "in=a", "out=b", "reader_protocol=12", "writer_protocol=12"}})
//
// It does not start muennet and holds no connection between calls: there is
// nothing to close. A Client may be used from several goroutines at once.
//
// Errors a program can act on: ErrNotRunning when nothing listens on the
// socket, fs.ErrPermission when the socket may not be opened, and *Error with
// the HTTP status when muennet refused the request. An *Error wraps the Err
// variable of package api that tells the reason, if there is one. Answers longer
// than 16 MiB are refused.
//
// # Stability
//
// Until version 1 a minor version may change the Go API, and CHANGELOG.md says so.
// A client works with a muennet of another version that speaks /v1, as docs/api.md
// promises. Of this module it imports package api only, and it builds on any
// system; only on Linux does Shutdown wait for the end of the process.
package client
