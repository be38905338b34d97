package tasks

import (
	"encoding/json"
	"fmt"

	"github.com/cozeq/cozeq/results"
)

// The fields of a task's that are encrypted as a whole, as they stand
// in the additional data: see results.Keys.
const (
	fieldPayload = "payload"
	fieldBody    = "body"
)

// private is what a chat holds of people's own words: what Chat.Sealed encrypts. The
// rest (ids, names, times, where it came from) stays readable, as lanes, sweeps and
// dashboards need it.
type private struct {
	AdditionalMessages []Message                  `json:"additional_messages,omitempty"`
	Preview            string                     `json:"preview,omitempty"`
	CustomVariables    map[string]string          `json:"custom_variables,omitempty"`
	Parameters         map[string]json.RawMessage `json:"parameters,omitempty"`
	ExtraParams        map[string]string          `json:"extra_params,omitempty"`
	MetaData           map[string]string          `json:"meta_data,omitempty"`
}

func (c *Chat) private() private {
	return private{c.AdditionalMessages, c.Preview, c.CustomVariables, c.Parameters, c.ExtraParams, c.MetaData}
}

func (c *Chat) setPrivate(p private) {
	c.AdditionalMessages, c.Preview = p.AdditionalMessages, p.Preview
	c.CustomVariables, c.Parameters, c.ExtraParams, c.MetaData = p.CustomVariables, p.Parameters, p.ExtraParams, p.MetaData
}

// seal encrypts a task's own words. Without keys it does nothing.
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

// Open decrypts the payload of the task with this id, if it is encrypted: see Sealed. A
// payload that cannot be decrypted here is a *results.SealedError, and the chat stays as
// it is; what is wrong in itself is an *InvalidError.
func (c *Chat) Open(keys *results.Keys, id string) error {
	if c.Sealed == "" {
		return nil
	}
	if !results.IsSealed(c.Sealed) {
		return invalid("sealed", "not an encrypted value")
	}
	if p := c.private(); len(p.AdditionalMessages)+len(p.CustomVariables)+len(p.Parameters)+len(p.ExtraParams)+len(p.MetaData) > 0 || p.Preview != "" {
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

// OpenBody puts the messages of the task with this id that were kept apart back in their
// place, decrypted if they are encrypted. Errors are those of Open.
func (c *Chat) OpenBody(keys *results.Keys, id string, body []byte) error {
	text, err := keys.Open(id, fieldBody, string(body))
	if err != nil {
		return err
	}
	return c.SetBody([]byte(text))
}
