package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
)

// TestRefusalsDoNotFillTheLog: a user without rights gets an answer each time,
// and a few lines.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var log strings.Builder
	s := newServer(&fakeNet{names: []string{"net0"}}, api.Version{}, noGroup, slog.New(slog.NewTextHandler(&log, nil)))
	for range 1000 {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodDelete, api.PathInterfaces, nil)
		s.handler().ServeHTTP(w, r.WithContext(withCaller(r.Context(), caller{uid: nobody})))
		if w.Code != http.StatusForbidden {
			t.Fatalf("status %d", w.Code)
		}
	}
	if n := strings.Count(log.String(), "request refused"); n < 1 || n > 50 {
		t.Errorf("%d lines of 1000 refusals", n)
	}
}
