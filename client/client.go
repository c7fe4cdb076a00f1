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

// maxAnswer is the maximum size of an answer in bytes.
const maxAnswer = 16 << 20

// connectTries and connectPause limit how long a call waits for room in the
// backlog of the control socket: 5 s.
const (
	connectTries = 500
	connectPause = 10 * time.Millisecond
)

// Error is the error for a request that muennet refused.
type Error struct {
	Status  int    // HTTP status code, listed in package api
	Message string // the reason given by muennet
	Code    string // api.Error.Code; "" if there is none
}

// Error returns the reason.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the variable of package api that the code stands for, such as
// api.ErrUnknown, for errors.Is; nil if there is none.
func (e *Error) Unwrap() error { return api.ErrorOf(e.Code) }

// Client is a client of the muennet that listens on a socket.
type Client struct {
	path string
	http http.Client
}

// dialError is an error in connecting, as opposed to one on an established
// connection.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// New returns a client for the control socket at path. It opens nothing before
// the first call.
func New(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		// A command is one request: there is nothing to keep a
		// connection for.
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

// Version describes the running muennet.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	var v api.Version
	err := c.call(ctx, http.MethodGet, api.PathVersion, nil, &v)
	return v, err
}

// Interfaces returns the state of all interfaces, in order of creation.
func (c *Client) Interfaces(ctx context.Context) ([]api.Interface, error) {
	var l []api.Interface
	err := c.call(ctx, http.MethodGet, api.PathInterfaces, nil, &l)
	return l, err
}

// Interface returns the state of an interface. The status of the error is 404
// if there is none of that name.
func (c *Client) Interface(ctx context.Context, name string) (api.Interface, error) {
	if err := inPath(name); err != nil {
		return api.Interface{}, err
	}
	var i api.Interface
	err := c.call(ctx, http.MethodGet, api.PathInterface(name), nil, &i)
	return i, err
}

// Load creates interfaces, all or none, and returns their names once they
// exist. Those that are already loaded with the same parameters stay as they
// are. If one is loaded with others, the error wraps api.ErrLoaded.
func (c *Client) Load(ctx context.Context, r api.LoadRequest) ([]string, error) {
	l, err := c.LoadResponse(ctx, r)
	return l.Interfaces, err
}

// LoadResponse is Load with the whole answer, which names the interfaces that
// were already loaded.
func (c *Client) LoadResponse(ctx context.Context, r api.LoadRequest) (api.LoadResponse, error) {
	var l api.LoadResponse
	err := c.call(ctx, http.MethodPost, api.PathInterfaces, r, &l)
	return l, err
}

// Unload removes the named interfaces, all or none of them. Without names it
// removes nothing, so that an empty list does not mean all. A muennet that was
// started by "muennet load" ends with its last interface; then Unload returns
// when Shutdown would. One started by "muennet run" keeps running.
func (c *Client) Unload(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	q := url.Values{api.QueryName: names}
	return c.unload(ctx, api.PathInterfaces+"?"+q.Encode())
}

// UnloadAll removes every interface, as Unload does.
func (c *Client) UnloadAll(ctx context.Context) error {
	return c.unload(ctx, api.PathInterfaces)
}

func (c *Client) unload(ctx context.Context, path string) error {
	p, err := c.process(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	var done api.UnloadResponse
	if err := c.call(ctx, http.MethodDelete, path, nil, &done); err != nil || !done.Ending {
		return err
	}
	return p.wait(ctx)
}

// AddChild creates the interface child, which shares the channels of parent.
func (c *Client) AddChild(ctx context.Context, parent, child string) error {
	return c.call(ctx, http.MethodPost, api.PathChildren, api.AddChildRequest{Parent: parent, Child: child}, nil)
}

// DeleteChild removes a child; from then on its marks belong to the parent.
func (c *Client) DeleteChild(ctx context.Context, child string) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, api.PathChild(child), nil, nil)
}

// AddMark directs the packets of a mark other than 0 to a child.
func (c *Client) AddMark(ctx context.Context, child string, mark uint32) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, api.PathMarks(child), api.AddMarkRequest{Mark: mark}, nil)
}

// DeleteMark directs the packets of a mark of the child back to the parent.
func (c *Client) DeleteMark(ctx context.Context, child string, mark uint32) error {
	if err := inPath(child); err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, api.PathMark(child, mark), nil, nil)
}

// Shutdown removes all interfaces and stops muennet. It returns when the
// process has exited or, if the process is not visible (because muennet runs in
// this process or in another PID namespace), when the interfaces are gone.
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

// inPath refuses names that no interface can have and that would change the
// path of a request.
func inPath(name string) error {
	if name == "" || name == "." || name == ".." {
		return &Error{Status: http.StatusNotFound, Code: api.CodeOf(api.ErrUnknown), Message: fmt.Sprintf("interface %q: %v", name, api.ErrUnknown)}
	}
	return nil
}

// dial connects to the socket and explains the usual failures.
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

// connect waits for room in the backlog of the socket, which other clients may
// have filled.
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

// call makes a request. in and out may be nil.
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
		// url.Error would add an address that the user never typed.
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
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read answer of muennet: %w", err)
	}
	return nil
}

// refused returns the error for an unsuccessful answer.
func refused(resp *http.Response, body []byte) error {
	var e api.Error
	if json.Unmarshal(body, &e) != nil || strings.TrimSpace(e.Error) == "" {
		e.Error = "muennet answered " + resp.Status
	}
	return &Error{Status: resp.StatusCode, Message: e.Error, Code: e.Code}
}
