package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/journal"
)

// network has the methods of muennet.Net that the server uses.
type network interface {
	Load(muennet.Load) ([]string, error)
	Unload(names ...string) error
	UnloadAll() error
	AddChild(parent, child string) error
	DeleteChild(child string) error
	AddMark(child string, mark uint32) error
	DeleteMark(child string, mark uint32) error
	Status() []muennet.Status
	Close() error
}

// server answers the control API.
type server struct {
	net     network
	version api.Version
	group   int // control group, or noGroup
	// channels is the directory for loads that name none.
	channels string
	// brief says that the network is closed with its last interface.
	brief   bool
	deleted <-chan struct{} // signals that interfaces were deleted without a request
	log     *slog.Logger
	limited *slog.Logger // for lines that any local user can cause

	// change is held during a change, so that a check made before it is still
	// valid when it happens.
	change   sync.Mutex
	closed   bool          // the network is closed; guarded by change
	closeErr error         // the error of closing it
	done     chan struct{} // closed once both are set
}

func newServer(n network, v api.Version, group int, log *slog.Logger) *server {
	return &server{net: n, version: v, group: group, log: log, limited: slog.New(journal.NewLimit(log.Handler())), done: make(chan struct{})}
}

// callerKey is the context key of a connection's caller.
type callerKey struct{}

func withCaller(ctx context.Context, p caller) context.Context {
	return context.WithValue(ctx, callerKey{}, p)
}

// callerIn returns the caller of a request; known is false if there is none.
func callerIn(r *http.Request) (p caller, known bool) {
	p, known = r.Context().Value(callerKey{}).(caller)
	return p, known
}

// httpServer returns a server with limits for the connections of a gate.
func (s *server) httpServer() *http.Server {
	return &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return withCaller(ctx, c.(*conn).caller)
		},
	}
}

// handler routes requests. All but GET and HEAD pass the access check first.
func (s *server) handler() http.Handler {
	routes := router{
		{http.MethodGet, api.PathVersion, func(w http.ResponseWriter, _ *http.Request) { answer(w, s.version) }},
		{http.MethodGet, api.PathInterfaces, func(w http.ResponseWriter, _ *http.Request) {
			// An empty list is [], not null.
			answer(w, append([]muennet.Status{}, s.net.Status()...))
		}},
		{http.MethodGet, api.PathInterfaces + "/{name}", s.show},
		{http.MethodPost, api.PathInterfaces, s.load},
		{http.MethodDelete, api.PathInterfaces, s.unload},
		{http.MethodDelete, api.PathInterfaces + "/{name}", s.unload},
		{http.MethodPost, api.PathChildren, s.addChild},
		{http.MethodDelete, api.PathChildren + "/{child}", s.deleteChild},
		{http.MethodPost, api.PathChildren + "/{child}/marks", s.addMark},
		{http.MethodDelete, api.PathChildren + "/{child}/marks/{mark}", s.deleteMark},
		{http.MethodPost, api.PathShutdown, s.shutdown},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !s.allowed(w, r) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, api.MaxBody)
		routes.ServeHTTP(w, r)
	})
}

// allowed reports whether the caller may make changes, and answers if it may
// not.
func (s *server) allowed(w http.ResponseWriter, r *http.Request) bool {
	p, known := callerIn(r)
	if known && p.mayChange(s.group) {
		return true
	}
	if !known {
		refuse(w, http.StatusForbidden, errors.New("not allowed: the caller is unknown"))
		return false
	}
	s.limited.Warn("request refused", "method", r.Method, "path", r.URL.Path, "uid", p.uid, "gid", p.gid, "pid", p.pid)
	who := owners()
	if s.group != noGroup {
		who += fmt.Sprintf(" and members of group %d", s.group)
	}
	refuse(w, http.StatusForbidden, fmt.Errorf("not allowed: uid %d may only read; %s may make changes", p.uid, who))
	return false
}

func (s *server) show(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	all := s.net.Status()
	i := slices.IndexFunc(all, func(st muennet.Status) bool { return st.Name == name })
	if i < 0 {
		refuse(w, http.StatusNotFound, notShown(name, all))
		return
	}
	answer(w, all[i])
}

// notShown returns the error for a name that none of all has.
func notShown(name string, all []muennet.Status) error {
	for _, st := range all {
		if slices.ContainsFunc(st.Children, func(c api.Child) bool { return c.Name == name }) {
			return fmt.Errorf("interface %s %w %s, and shown there", name, muennet.ErrChild, st.Name)
		}
	}
	return fmt.Errorf("interface %s: %w", name, muennet.ErrUnknown)
}

func (s *server) load(w http.ResponseWriter, r *http.Request) {
	var req api.LoadRequest
	if !decode(w, r, &req) {
		return
	}
	cfg, err := muennet.ParseLoad(req.Parameters...)
	if err == nil && req.Channels != "" && !filepath.IsAbs(req.Channels) {
		err = fmt.Errorf("channels: %q is not an absolute path", req.Channels)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	cfg.Channels = req.Channels
	if p, known := callerIn(r); !known || !p.owner() {
		if err := checkMember(cfg, s.channels); err != nil {
			refuse(w, http.StatusForbidden, fmt.Errorf("load: %w", err))
			return
		}
	}
	var answered api.LoadResponse
	if !s.whileOpen(w, func() {
		before := s.names()
		answered.Interfaces, err = s.net.Load(cfg)
		for _, name := range answered.Interfaces {
			if slices.Contains(before, name) {
				answered.Already = append(answered.Already, name)
			}
		}
	}) {
		return
	}
	if err != nil {
		s.limited.Warn("load refused", "err", err)
		refuse(w, statusOf(err, http.StatusConflict), err)
		return
	}
	s.log.Debug("loaded", "interfaces", answered.Interfaces, "already", answered.Already)
	answer(w, answered)
}

// names returns the names of all interfaces; never nil.
func (s *server) names() []string {
	names := []string{}
	for _, st := range s.net.Status() {
		names = append(names, st.Name)
	}
	return names
}

func (s *server) unload(w http.ResponseWriter, r *http.Request) {
	names, err := unloadNames(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	remove := s.net.UnloadAll
	if len(names) > 0 {
		remove = func() error { return s.net.Unload(names...) }
	}
	var ending bool
	if !s.whileOpen(w, func() {
		if err = remove(); err == nil {
			ending = s.closeIfEmpty()
		}
	}) {
		return
	}
	if err != nil {
		status := statusOf(err, http.StatusInternalServerError)
		if status == http.StatusInternalServerError {
			s.log.Error("unload", "interfaces", names, "err", err)
		}
		refuse(w, status, err)
		return
	}
	s.log.Debug("unloaded", "interfaces", names)
	if ending {
		answer(w, api.UnloadResponse{Ending: true})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// unloadNames returns the interfaces to which a DELETE applies; none means all.
// A misspelt query must not mean all.
func unloadNames(r *http.Request) ([]string, error) {
	if n := r.PathValue("name"); n != "" {
		return []string{n}, nil
	}
	query, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	return query[api.QueryName], nil
}

func (s *server) shutdown(w http.ResponseWriter, r *http.Request) {
	var req api.ShutdownRequest
	if !decode(w, r, &req) {
		return
	}
	used := 0
	var err error
	open := s.whileOpen(w, func() {
		if req.Idle {
			used = len(s.net.Status())
		}
		if used == 0 {
			s.log.Info("shutdown requested")
			err = s.closeLocked()
		}
	})
	switch {
	case !open:
	case used > 0:
		refuse(w, http.StatusConflict, fmt.Errorf("shut down: %d %w", used, api.ErrInUse))
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// whileOpen makes a change, one at a time. If the network is closed, it answers
// and returns false. The caller answers the change afterwards, so that a client
// that does not read holds up no other change.
func (s *server) whileOpen(w http.ResponseWriter, change func()) bool {
	open := func() bool {
		s.change.Lock()
		defer s.change.Unlock()
		if s.closed {
			return false
		}
		change()
		return true
	}()
	if !open {
		refuse(w, http.StatusServiceUnavailable, muennet.ErrClosed)
	}
	return open
}

// close removes all interfaces. A second call returns the result of the first.
func (s *server) close() error {
	s.change.Lock()
	defer s.change.Unlock()
	if s.closed {
		return s.closeErr
	}
	return s.closeLocked()
}

// closeIfEmpty closes the network of a brief server if it has no interfaces,
// and reports whether it did. An error of closing is for run. The caller holds
// change.
func (s *server) closeIfEmpty() bool {
	if !s.brief || len(s.net.Status()) > 0 {
		return false
	}
	s.log.Info("last interface removed")
	s.closeLocked()
	return true
}

// interfacesDeleted acts on interfaces that were deleted without a request.
func (s *server) interfacesDeleted() {
	s.change.Lock()
	defer s.change.Unlock()
	if !s.closed {
		s.closeIfEmpty()
	}
}

func (s *server) closeLocked() error {
	s.log.Info("stopping")
	if err := notify("STOPPING=1"); err != nil {
		s.log.Warn("stopping", "err", err)
	}
	s.closed, s.closeErr = true, s.net.Close()
	close(s.done)
	return s.closeErr
}

// decode decodes the body into v. An empty body leaves the zero value.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return true
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return true
		} else if err == nil {
			err = errors.New("more than one value")
		}
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("request body: longer than %d bytes", long.Limit))
		return false
	}
	refuse(w, http.StatusBadRequest, fmt.Errorf("request body: %w", err))
	return false
}
