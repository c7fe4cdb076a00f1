package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/muennet/muennet/api"
)

// ErrNotRunning says that nothing listens on the control socket.
var ErrNotRunning = errors.New("muennet is not running")

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// connectTries and connectPause bound how long a call waits for a place in the
// queue of the control socket: 5 s.
const (
	connectTries = 500
	connectPause = 10 * time.Millisecond
)

// Error is a request that muennet refused.
type Error struct {
	Status  int    // HTTP status code, listed in package api
	Message string // the reason as muennet gave it
	Code    string // api.Error.Code; "" if there is none
}

// Error gives the reason.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the variable of package api that the code stands for, such as
// api.ErrUnknown, for errors.Is; nil if there is none.
func (e *Error) Unwrap() error { return api.ErrorOf(e.Code) }

// Client speaks to the muennet that listens on one socket.
type Client struct {
	path string
	http http.Client
}

// dialError is about a connection that was not made, in contrast to one that was
// and broke.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// New makes a client for the control socket at path. Nothing is opened until
// the first call.
func New(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		// A command is one request; a kept connection would only outlive it.
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := c.dial(ctx)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
	}
	return c
}

// Version says what is running.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	var v api.Version
	err := c.call(ctx, http.MethodGet, api.PathVersion, nil, &v)
	return v, err
}

// Interfaces gives the state of all interfaces in order of creation.
func (c *Client) Interfaces(ctx context.Context) ([]api.Interface, error) {
	var l []api.Interface
	err := c.call(ctx, http.MethodGet, api.PathInterfaces, nil, &l)
	return l, err
}

// Interface gives the state of one interface; 404 when there is none of that
// name.
func (c *Client) Interface(ctx context.Context, name string) (api.Interface, error) {
	if err := inPath(name); err != nil {
		return api.Interface{}, err
	}
	var i api.Interface
	err := c.call(ctx, http.MethodGet, api.PathInterface(name), nil, &i)
	return i, err
}

// Load creates interfaces, all or none, and returns their names when they
// exist.
func (c *Client) Load(ctx context.Context, r api.LoadRequest) ([]string, error) {
	var l api.LoadResponse
	err := c.call(ctx, http.MethodPost, api.PathInterfaces, r, &l)
	return l.Interfaces, err
}

// Unload removes the named interfaces, all or none of them; muennet keeps
// running. Without a name it removes nothing, so that a list that happens to be
// empty is not taken for all.
func (c *Client) Unload(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	q := url.Values{api.QueryName: names}
	return c.call(ctx, http.MethodDelete, api.PathInterfaces+"?"+q.Encode(), nil, nil)
}

// UnloadAll removes every interface; muennet keeps running.
func (c *Client) UnloadAll(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, api.PathInterfaces, nil, nil)
}

// AddChild makes the interface child, which shares the channels of parent.
func (c *Client) AddChild(ctx context.Context, parent, child string) error {
	return c.call(ctx, http.MethodPost, api.PathChildren, api.AddChildRequest{Parent: parent, Child: child}, nil)
}

// DeleteChild removes a child; from then on its marks are the parent's.
func (c *Client) DeleteChild(ctx context.Context, child string) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, api.PathChild(child), nil, nil)
}

// AddMark sends the packets of a mark, which is not 0, to a child.
func (c *Client) AddMark(ctx context.Context, child string, mark uint32) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, api.PathMarks(child), api.AddMarkRequest{Mark: mark}, nil)
}

// DeleteMark sends the packets of a mark that the child holds to the parent
// again.
func (c *Client) DeleteMark(ctx context.Context, child string, mark uint32) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, api.PathMark(child, mark), nil, nil)
}

// Shutdown removes every interface and ends muennet. It returns when the
// process is gone; where that cannot be seen (muennet runs in this process or
// in a process namespace that is not visible) when the interfaces are.
func (c *Client) Shutdown(ctx context.Context, r api.ShutdownRequest) error {
	p, err := c.process(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if err := c.call(ctx, http.MethodPost, api.PathShutdown, r, nil); err != nil {
		return err
	}
	return p.wait(ctx)
}

// inPath refuses names that no interface can have, and that would make a
// request's path another one.
func inPath(name string) error {
	if name == "" || name == "." || name == ".." {
		return &Error{Status: http.StatusNotFound, Code: api.CodeOf(api.ErrUnknown), Message: fmt.Sprintf("interface %q: %v", name, api.ErrUnknown)}
	}
	return nil
}

// dial connects to the socket and gives the usual failures their meaning.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	conn, err := c.connect(ctx)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, syscall.ENOENT):
		return nil, fmt.Errorf("%w (no socket at %s)", ErrNotRunning, c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w (nothing listens at %s)", ErrNotRunning, c.path)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("open control socket %s: %w: only root and the socket's group may", c.path, syscall.EACCES)
	}
	return nil, fmt.Errorf("open control socket %s: %w", c.path, err)
}

// connect waits for a place in the queue of the socket, which connects of others
// may have filled, for as long as connectTries and connectPause allow.
func (c *Client) connect(ctx context.Context) (conn net.Conn, err error) {
	var d net.Dialer
	for range connectTries {
		conn, err = d.DialContext(ctx, "unix", c.path)
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(connectPause):
		}
	}
	return conn, err
}

// call makes one request. in and out may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://muennet"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// url.Error would put an address in front that nobody typed.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		var dial *dialError
		if ctx.Err() == nil && !errors.As(err, &dial) {
			err = fmt.Errorf("no answer from muennet (it has too many connections, or has ended): %w", err)
		}
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer of muennet: %w", err)
	}
	if len(b) > maxAnswer {
		return fmt.Errorf("read answer of muennet: longer than %d bytes", maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return refused(resp, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read answer of muennet: %w", err)
	}
	return nil
}

// refused makes the error of an answer that is no success.
func refused(resp *http.Response, body []byte) error {
	var e api.Error
	if json.Unmarshal(body, &e) != nil || strings.TrimSpace(e.Error) == "" {
		e.Error = "muennet answered " + resp.Status
	}
	return &Error{Status: resp.StatusCode, Message: e.Error, Code: e.Code}
}
