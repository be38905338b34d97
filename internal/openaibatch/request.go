package openaibatch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// request is the body of POST /v1/batches. Its JSON is the same for the same request.
type request struct {
	InputFileID      string            `json:"input_file_id"`
	Endpoint         string            `json:"endpoint"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	OutputExpires    *expiry           `json:"output_expires_after,omitempty"`
	Queue            string            `json:"queue,omitempty"` // an extension

	window time.Duration
}

type expiry struct {
	Anchor  string `json:"anchor"`
	Seconds int    `json:"seconds"`
}

var requestFields = []string{"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after", "queue"}

const (
	minWindow = time.Minute
	maxWindow = 30 * 24 * time.Hour
)

func parseRequest(body io.Reader) (*request, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return nil, openai.Bad("", "invalid_json", "the body is no JSON object: %v", err)
	}
	q := &request{CompletionWindow: "24h"}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(requestFields, name) {
			return nil, unknown(name)
		}
		one, _ := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err := json.NewDecoder(bytes.NewReader(one)).Decode(q); err != nil {
			return nil, openai.Bad(name, "invalid_type", "not of the type that it should be: %v", err)
		}
	}
	return q, q.check()
}

func unknown(name string) error {
	if near := usage.Nearest(name, requestFields); near != "" {
		return openai.Bad(name, "unknown_parameter", "unknown parameter: did you mean %s?", near)
	}
	return openai.Bad(name, "unknown_parameter", "unknown parameter: known are %s", strings.Join(requestFields, ", "))
}

func (q *request) check() (err error) {
	switch {
	case q.InputFileID == "":
		return openai.Bad("input_file_id", "missing_required_parameter", "missing: upload a file with purpose batch and give its id")
	case !slices.Contains(input.RequestURLs, q.Endpoint):
		return openai.Bad("endpoint", "invalid_value", "%.100q: want %s", q.Endpoint, strings.Join(input.RequestURLs, " or "))
	}
	if q.window, err = flags.ParseDuration(q.CompletionWindow); err != nil || q.window < minWindow || q.window > maxWindow {
		return openai.Bad("completion_window", "invalid_value", "%.60q: want 24h, or another time from 1m to 30d", q.CompletionWindow)
	}
	if o := q.OutputExpires; o != nil {
		if o.Anchor != "created_at" {
			return openai.Bad("output_expires_after.anchor", "invalid_value", "%.60q: want created_at", o.Anchor)
		}
		if keep := q.keep(); keep < filestore.MinKeep || keep > filestore.MaxKeep {
			return openai.Bad("output_expires_after.seconds", "invalid_value", "%d: want 3600 to 2592000", o.Seconds)
		}
	}
	if q.Queue != "" {
		if _, err := tasks.Shards(q.Queue); err != nil {
			return openai.Bad("queue", "invalid_value", "%v", err)
		}
	}
	return checkMetadata(q.Metadata)
}

// Bounds of OpenAI's for metadata.
const (
	maxPairs = 16
	maxName  = 64
	maxValue = 512
)

func checkMetadata(pairs map[string]string) error {
	if len(pairs) > maxPairs {
		return openai.Bad("metadata", "invalid_value", "%d pairs, at most %d", len(pairs), maxPairs)
	}
	for name, value := range pairs {
		if utf8.RuneCountInString(name) > maxName || utf8.RuneCountInString(value) > maxValue {
			return openai.Bad("metadata", "invalid_value", "%.64q: a name has at most %d characters, a value %d", name, maxName, maxValue)
		}
	}
	return nil
}

// keep is how long the answers are kept; 0 = the default of batches. OpenAI counts from the creation of a file of answers,
// which is the end of the batch.
func (q *request) keep() time.Duration {
	if q.OutputExpires == nil {
		return 0
	}
	return time.Duration(q.OutputExpires.Seconds) * time.Second
}

func (q *request) digest() string {
	text, _ := json.Marshal(q) // strings always marshal
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func idempotencyKey(r *http.Request) string { return r.Header.Get("Idempotency-Key") }

// batchID names the nth batch of a tenant's request. With an idempotency key it is made of that alone. Names have no NUL.
func batchID(tenant, key, digest string, nth int) string {
	by := "request\x00" + digest
	if key != "" {
		by = "key\x00" + key
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", tenant, by, nth))
	return batchPrefix + hex.EncodeToString(sum[:])[:24]
}

// note is what a batch made here keeps of its request: see batches.Spec.
type note struct {
	Endpoint         string            `json:"endpoint"`
	InputFileID      string            `json:"input_file_id"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	Digest           string            `json:"digest"`
}

func (q *request) note() string {
	text, _ := json.Marshal(note{q.Endpoint, q.InputFileID, q.CompletionWindow, q.Metadata, q.digest()}) // strings always marshal
	return string(text)
}

// noteOf reads it back; ok is false for a batch that was not made here. One whose note is encrypted, with a key that is not
// here, is such a batch.
func noteOf(b *batches.Status) (n *note, ok bool) {
	n = new(note)
	if b.Note == "" || json.Unmarshal([]byte(b.Note), n) != nil || n.Endpoint == "" {
		return nil, false
	}
	return n, true
}

// conflict is an idempotency key that was used for another request.
func conflict() *openai.Error {
	return &openai.Error{
		Status: http.StatusUnprocessableEntity, Code: "idempotency_key_reused",
		Message: "this idempotency key was used with another request: send the same one, or use another key",
	}
}
