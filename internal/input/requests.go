package input

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
)

// Requests are the rules of OpenAI's Batch API. They are stricter than those for files of run, which take whatever can be
// understood: a file that passes here is one that OpenAI takes, too, but for models that are bots.
type Requests struct {
	// URL is that of all rows, as /v1/chat/completions. Empty: that of the first row, either of the two.
	URL string

	// MaxRows is how many rows there may be; 0 = any number.
	MaxRows int

	// Decode makes a question of the body of a request to url. Echo is what the reply needs of it, for Request.Echo. An error
	// makes the row wrong.
	Decode func(url string, body json.RawMessage) (chat *tasks.Chat, echo json.RawMessage, err error)
}

// RequestURLs are the URLs of requests that a bot can answer.
var RequestURLs = []string{"/v1" + chatAPI, "/v1" + ResponsesAPI}

var requestFields = []string{FieldCustomID, "method", "url", "body"}

// parse fills the row from a request by the rules of OpenAI's Batch API, and returns its errors.
func (r *Requests) parse(fields map[string]json.RawMessage, row *Row) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(requestFields, name) {
			continue
		}
		what := fmt.Sprintf("unknown field %q: known are %s", name, List(requestFields, ""))
		if near := usage.Nearest(name, requestFields); near != "" {
			what = fmt.Sprintf("unknown field %q: did you mean %s?", name, near)
		}
		wrong = append(wrong, what)
	}
	for _, name := range requestFields[:3] {
		if text, err := messages.StringOf(fields[name]); err != nil || text == "" {
			wrong = append(wrong, name+": missing, or no string")
		}
	}
	body, err := objectOf(fields["body"], "an object")
	switch {
	case fields["body"] == nil:
		wrong = append(wrong, "body: missing")
	case err != nil:
		wrong = append(wrong, "body: "+err.Error())
	}
	if len(wrong) > 0 {
		return wrong
	}
	if what := r.wrongURL(fields["url"]); what != "" {
		wrong = append(wrong, what)
	}
	if method, _ := messages.StringOf(fields["method"]); method != "POST" {
		wrong = append(wrong, fmt.Sprintf("method: %.20q, want POST", method))
	}
	if string(body["stream"]) == "true" {
		wrong = append(wrong, "body.stream: true, and the answers of a batch are read when it has ended: leave it out")
	}
	if len(wrong) > 0 {
		return wrong
	}
	row.CustomID, _ = messages.StringOf(fields[FieldCustomID])
	url, _ := messages.StringOf(fields["url"])
	model, _ := messages.StringOf(body["model"])
	row.Request = &Request{API: strings.TrimPrefix(url, "/v1"), Model: model}
	row.Chat, row.Request.Echo, err = r.Decode(url, fields["body"])
	if err != nil {
		row.Chat = new(tasks.Chat)
		return []string{"body: " + err.Error()}
	}
	return nil
}

// tooMany reports whether the nth row is beyond the number that there may be.
func (r *Requests) tooMany(n int) bool { return r != nil && r.MaxRows > 0 && n > r.MaxRows }

// wrongURL says what is wrong with a row's url; "" = nothing.
func (r *Requests) wrongURL(raw json.RawMessage) string {
	url, _ := messages.StringOf(raw)
	switch {
	case r.URL != "" && url != r.URL:
		return fmt.Sprintf("url: %.100q, and the batch is for %s", url, r.URL)
	case !slices.Contains(RequestURLs, url):
		return fmt.Sprintf("url: %.100q, want %s: nothing else can be asked of a bot", url, strings.Join(RequestURLs, " or "))
	}
	return ""
}
