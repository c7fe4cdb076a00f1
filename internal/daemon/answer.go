package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/muennet/muennet/api"
)

// answer sends v with status 200.
func answer(w http.ResponseWriter, v any) { send(w, http.StatusOK, v) }

// refuse sends the reason of a failure.
func refuse(w http.ResponseWriter, status int, err error) {
	send(w, status, api.Error{Error: err.Error(), Code: api.CodeOf(err)})
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone, and nothing else would want the error.
	_ = json.NewEncoder(w).Encode(v)
}

// queryOf parses the query strictly: only api.QueryName is known, and its
// values are not empty.
func queryOf(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	for key, values := range q {
		if key != api.QueryName {
			return nil, fmt.Errorf("query: unknown key %q, allowed is %q", key, api.QueryName)
		}
		for _, v := range values {
			if v == "" {
				return nil, fmt.Errorf("query: empty %q", key)
			}
		}
	}
	return q, nil
}
