//go:build !linux

package client

import "context"

// process is the process behind the socket. muennet runs on Linux only; what
// listens here forwards to it, and its end says nothing about muennet's.
type process struct{}

func (c *Client) process(context.Context) (process, error) { return process{}, nil }

func (process) wait(context.Context) error { return nil }
func (process) close()                     {}
