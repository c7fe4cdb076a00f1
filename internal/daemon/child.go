package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/names"
)

func (s *server) addChild(w http.ResponseWriter, r *http.Request) {
	var req api.AddChildRequest
	if !decode(w, r, &req) {
		return
	}
	if err := checkNames(req); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("add child: %w", err))
		return
	}
	s.apply(w, func() error { return s.net.AddChild(req.Parent, req.Child) })
}

func checkNames(req api.AddChildRequest) error {
	switch {
	case req.Parent == "":
		return errors.New("parent: want the name of an interface")
	}
	if err := names.CheckInterface(req.Child); err != nil {
		return fmt.Errorf("child %q: %w", req.Child, err)
	}
	return nil
}

func (s *server) deleteChild(w http.ResponseWriter, r *http.Request) {
	s.apply(w, func() error { return s.net.DeleteChild(r.PathValue("child")) })
}

func (s *server) addMark(w http.ResponseWriter, r *http.Request) {
	var req api.AddMarkRequest
	if decode(w, r, &req) {
		s.apply(w, func() error { return s.net.AddMark(r.PathValue("child"), req.Mark) })
	}
}

func (s *server) deleteMark(w http.ResponseWriter, r *http.Request) {
	mark, err := strconv.ParseUint(r.PathValue("mark"), 10, 32)
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("delete mark: %q is not a number from 1 to 4294967295", r.PathValue("mark")))
		return
	}
	s.apply(w, func() error { return s.net.DeleteMark(r.PathValue("child"), uint32(mark)) })
}

// apply makes a change without a result.
func (s *server) apply(w http.ResponseWriter, change func() error) {
	var err error
	if !s.whileOpen(w, func() { err = change() }) {
		return
	}
	if err != nil {
		refuse(w, statusOf(err, http.StatusConflict), err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// statusOf returns the status code for an error of the network, or the one
// given if the error does not determine it.
func statusOf(err error, otherwise int) int {
	var rule *muennet.FieldError
	switch {
	case errors.Is(err, muennet.ErrUnknown), errors.Is(err, muennet.ErrNotHeld):
		return http.StatusNotFound
	case errors.Is(err, muennet.ErrZeroMark), errors.As(err, &rule):
		return http.StatusBadRequest
	case errors.Is(err, muennet.ErrChild), errors.Is(err, muennet.ErrHeld):
		return http.StatusConflict
	}
	return otherwise
}
