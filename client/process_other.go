//go:build !linux

package client

import "context"

// process is the process that listens on the socket. muennet runs only on
// Linux: a listener on this system forwards to it, and its exit says nothing
// about that of muennet.
type process struct{}

func (c *Client) process(context.Context) (process, error) { return process{}, nil }

func (process) wait(context.Context) error { return nil }
func (process) close()                     {}
