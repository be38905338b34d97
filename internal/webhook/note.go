package webhook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/results"
)

// Kind is what ends: a task or a batch.
type Kind string

// The kinds. Each has one event.
const (
	Task  Kind = "task"
	Batch Kind = "batch"
)

func (k Kind) Event() string { return string(k) + ".ended" }

// taskID is the id of the asynq task that delivers. A task and a batch may have the same id.
func (k Kind) taskID(id string) string {
	if k == Batch {
		return "whb-" + id
	}
	return "wh-" + id
}

// Names of what asynq gets.
const (
	Queue    = asynqx.Webhooks
	TypeName = "cozeq:webhook"
)

// note is the payload of the asynq task: what is to be sent where. It has the name of the secret, never the secret.
type note struct {
	V         int          `json:"v"` // 1
	Kind      Kind         `json:"kind"`
	ID        string       `json:"id"`
	URL       string       `json:"url"` // encrypted if the store has keys: its query may be a token
	Secret    string       `json:"secret"`
	Tenant    string       `json:"tenant,omitempty"`
	CreatedAt results.Time `json:"created_at"`
}

// Names of encrypted values, as results.Keys binds them to the id.
const (
	sealURL  = "webhook_url"
	sealBody = "webhook_body"
)

func newNote(keys *results.Keys, kind Kind, id string, t Target, now time.Time) note {
	return note{
		V: 1, Kind: kind, ID: id, URL: keys.Seal(id, sealURL, t.URL), Secret: t.Secret, Tenant: t.Tenant,
		CreatedAt: results.At(now),
	}
}

func (n *note) encode() []byte {
	b, err := json.Marshal(n)
	if err != nil {
		panic(fmt.Sprintf("marshal a note: %v", err)) // strings and a time always marshal
	}
	return b
}

func decodeNote(payload []byte) (*note, error) {
	n := new(note)
	if err := json.Unmarshal(payload, n); err != nil {
		return nil, fmt.Errorf("its payload is no note of a webhook: %w", err)
	}
	if n.V != 1 || n.ID == "" || n.Kind != Task && n.Kind != Batch {
		return nil, fmt.Errorf("its payload has version %d and kind %q, which this program does not know", n.V, n.Kind)
	}
	return n, nil
}

// target opens the URL. A *results.SealedError says that this process has not the key.
func (n *note) target(keys *results.Keys) (*url.URL, error) {
	text, err := keys.Open(n.ID, sealURL, n.URL)
	if err != nil {
		return nil, err
	}
	return Target{URL: text}.parse()
}

func (n *note) sameAs(keys *results.Keys, t Target) bool {
	text, err := keys.Open(n.ID, sealURL, n.URL)
	return err == nil && text == t.URL && n.Secret == t.Secret
}
