package openai

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cozeq/cozeq/internal/messages"
)

// Object is an object of JSON.
type Object = map[string]any

// OrNull is null for nothing: an empty id would be read as one.
func OrNull[T comparable](v T) any {
	var none T
	if v == none {
		return nil
	}
	return v
}

// At is a time as OpenAI has it, null for none.
func At(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := messages.Encode(v)
	if err != nil { // of ours: what we send always encodes
		http.Error(w, `{"error":{"message":"the reply could not be encoded","type":"server_error","param":null,"code":null}}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// Page is which part of a list a request asks for.
type Page struct {
	After     string // the id of the last one of the page before
	Limit     int
	Ascending bool
}

// ParsePage reads limit, order and after. A page has standard items unless the request says how many, and most at most.
func ParsePage(q url.Values, standard, most int) (p Page, err error) {
	p = Page{After: q.Get("after"), Limit: standard}
	if text := q.Get("limit"); text != "" {
		if p.Limit, err = strconv.Atoi(text); err != nil || p.Limit < 1 || p.Limit > most {
			return p, Bad("limit", "invalid_value", "%.60q: want 1 to %d", text, most)
		}
	}
	switch order := q.Get("order"); order {
	case "", "desc":
	case "asc":
		p.Ascending = true
	default:
		return p, Bad("order", "invalid_value", "%.60q: want asc or desc", order)
	}
	return p, nil
}

// List is a page of a list. Without has_more the SDKs would ask for one page more.
func List(data []Object, more bool) Object {
	o := Object{"object": "list", "data": data, "first_id": nil, "last_id": nil, "has_more": more}
	if len(data) > 0 {
		o["first_id"], o["last_id"] = data[0]["id"], data[len(data)-1]["id"]
	}
	return o
}
