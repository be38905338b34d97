package dashboard

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// reply is a reply of asynqmon, buffered to be changed.
type reply struct {
	header http.Header
	status int
	body   []byte
}

func (h *handler) ask(r *http.Request) *reply {
	rep := &reply{header: http.Header{}, status: http.StatusOK}
	h.asynqmon.ServeHTTP(rep, r)
	return rep
}

func (r *reply) Header() http.Header { return r.header }

func (r *reply) WriteHeader(status int) { r.status = status }

func (r *reply) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

func (r *reply) send(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // the caller has gone
}

// object is a JSON object of asynqmon of which some members change.
type object map[string]json.RawMessage

// text is a member that is a string, else "".
func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s) // not a string: ""
	return s
}

func (o object) set(name string, value any) {
	o[name], _ = json.Marshal(value) // strings and raw JSON always marshal
}

func sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller has gone
}
