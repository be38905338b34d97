package tasks

import (
	"encoding/json"
	"fmt"

	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/results"
)

// The fields of a task's that are encrypted as a whole, as they stand
// in the additional data: see results.Keys.
const (
	fieldPayload = "payload"
	fieldBody    = "body"
)

// private has the fields that people write. Chat.Sealed encrypts them. Lanes, sweeps and dashboards need the rest (ids,
// names, times), so it stays readable.
type private struct {
	AdditionalMessages []Message                  `json:"additional_messages,omitempty"`
	Preview            string                     `json:"preview,omitempty"`
	CustomVariables    map[string]string          `json:"custom_variables,omitempty"`
	Parameters         map[string]json.RawMessage `json:"parameters,omitempty"`
	ExtraParams        map[string]string          `json:"extra_params,omitempty"`
	MetaData           map[string]string          `json:"meta_data,omitempty"`
	Ext                map[string]string          `json:"ext,omitempty"`
	Resume             *Resume                    `json:"resume,omitempty"`
	Tools              map[string]ToolWebhook     `json:"tools,omitempty"`
	Refused            *results.Failure           `json:"refused,omitempty"`
}

func (c *Chat) private() private {
	return private{c.AdditionalMessages, c.Preview, c.CustomVariables, c.Parameters, c.ExtraParams, c.MetaData, c.Ext, c.Resume, c.Tools, c.Refused}
}

func (c *Chat) setPrivate(p private) {
	c.AdditionalMessages, c.Preview = p.AdditionalMessages, p.Preview
	c.CustomVariables, c.Parameters, c.ExtraParams, c.MetaData = p.CustomVariables, p.Parameters, p.ExtraParams, p.MetaData
	c.Ext, c.Resume, c.Tools, c.Refused = p.Ext, p.Resume, p.Tools, p.Refused
}

// seal encrypts the private fields. Without keys it does nothing.
func (c *Chat) seal(keys *results.Keys, id string) error {
	if keys == nil {
		return nil
	}
	text, err := json.Marshal(c.private())
	if err != nil {
		return fmt.Errorf("encode payload: %w", err)
	}
	c.setPrivate(private{})
	c.Sealed = keys.Seal(id, fieldPayload, string(text))
	return nil
}

// Open decrypts the payload of the task with this id, if it is encrypted. If it cannot be decrypted here, the error is a
// *results.SealedError and the chat stays as it is. Malformed content is an *InvalidError.
func (c *Chat) Open(keys *results.Keys, id string) error {
	if c.Sealed == "" {
		return nil
	}
	if !seal.Is(c.Sealed) {
		return invalid("sealed", "not an encrypted value")
	}
	if p := c.private(); len(p.AdditionalMessages)+len(p.CustomVariables)+len(p.Parameters)+len(p.ExtraParams)+len(p.MetaData)+len(p.Ext)+len(p.Tools) > 0 ||
		p.Preview != "" || p.Resume != nil || p.Refused != nil {
		return invalid("sealed", "set beside fields that belong into it")
	}
	text, err := keys.Open(id, fieldPayload, c.Sealed)
	if err != nil {
		return err
	}
	var p private
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return invalid("sealed", "%v", err)
	}
	c.setPrivate(p)
	c.Sealed = ""
	return nil
}

// OpenBody puts messages of the task with this id back that were kept apart, and decrypts them. Errors are those of Open.
func (c *Chat) OpenBody(keys *results.Keys, id string, body []byte) error {
	text, err := keys.Open(id, fieldBody, string(body))
	if err != nil {
		return err
	}
	return c.SetBody([]byte(text))
}
