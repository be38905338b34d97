package webhook

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// maxBody bounds the body of an event. Standard Webhooks advises 20 KB for bodies and thin events beyond; most answers are
// a few KB, and a result that comes whole saves its receiver a request. Receivers take 1 MB at the least by default.
const maxBody = 256 << 10

// maxMessage is how much of an error's message a thin event has, in bytes.
const maxMessage = 1000

// Encode is the body that Standard Webhooks recommends for an event: type, timestamp and data, as JSON.
func Encode(event string, at results.Time, data any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Type      string       `json:"type"`
		Timestamp results.Time `json:"timestamp"`
		Data      any          `json:"data"`
	}{event, at, data})
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// thin is a result without its texts: where the whole one is too long for an event.
type thin struct {
	*results.Result
	Truncated bool   `json:"truncated"`
	URL       string `json:"url"` // of the whole result
}

// taskEvent is the body for a task that has ended. base is where the API is, "" for a relative url.
func taskEvent(r *results.Result, base string) ([]byte, error) {
	at := r.CompletedAt
	if at.IsZero() { // written by another program
		at = r.CreatedAt
	}
	body, err := Encode(Task.Event(), at, r)
	if err != nil || len(body) <= maxBody {
		return body, err
	}
	short := *r
	short.Answer, short.AsksBack, short.Reasoning, short.FollowUps, short.Parts, short.Warnings = "", "", "", nil, nil, nil
	if r.Error != nil {
		failure := *r.Error
		failure.Message = cut(failure.Message, maxMessage)
		short.Error = &failure
	}
	return Encode(Task.Event(), at, thin{&short, true, base + "/api/v1/tasks/" + r.ID})
}

// cut shortens a text to n bytes at the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

type batchData struct {
	ID         string                 `json:"id"`
	Name       string                 `json:"name,omitempty"`
	Counts     batches.Counts         `json:"counts"`
	Usage      results.Usage          `json:"usage"`
	Failures   []batches.FailureCount `json:"failures,omitempty"`
	CreatedAt  results.Time           `json:"created_at"`
	EndedAt    results.Time           `json:"ended_at"`
	CanceledAt results.Time           `json:"canceled_at,omitzero"`
	URL        string                 `json:"url"` // of the batch
}

// mostFailures bounds the reasons of failures that an event lists.
const mostFailures = 20

func batchEvent(b *batches.Status, base string) ([]byte, error) {
	data := batchData{
		ID: b.ID, Name: b.Name, Counts: b.Counts, Usage: b.Tokens, Failures: b.Failures[:min(len(b.Failures), mostFailures)],
		CreatedAt: results.At(b.CreatedAt), EndedAt: results.At(b.EndedAt), CanceledAt: timeOrZero(b.CanceledAt),
		URL: base + "/api/v1/batches/" + b.ID,
	}
	return Encode(Batch.Event(), data.EndedAt, data)
}

func timeOrZero(t time.Time) results.Time {
	if t.IsZero() {
		return results.Time{}
	}
	return results.At(t)
}
