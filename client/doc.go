// Package client controls a running muennet through its control socket.
//
//	c := client.New(api.DefaultControl)
//	names, err := c.Load(ctx, api.LoadRequest{Parameters: []string{
//		"name=net0", "in=a", "out=b", "reader_protocol=12", "writer_protocol=12"}})
//
// It does not start muennet, and keeps no connection between calls: there is
// nothing to close. A Client may be used from several goroutines at once.
//
// A program can act on these errors: ErrNotRunning if nothing listens on the
// socket, fs.ErrPermission if the program may not open the socket, and *Error
// with the HTTP status if muennet refused the request. An *Error wraps the Err
// variable of package api for the reason, if there is one. Answers longer than
// 16 MiB are refused.
//
// # Stability
//
// Before version 1 a minor version may change the Go API; CHANGELOG.md says so.
// A client works with any version of muennet that supports /v1, as docs/api.md
// promises. The package imports only package api of this module and builds on
// any system. Only on Linux does Shutdown wait for the process to exit.
package client
