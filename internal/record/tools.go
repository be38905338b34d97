package record

import (
	"context"
	"encoding/json"

	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/results"
)

// ToolRound is what the next attempt must know of the tools that a bot has called. A chat calls them in rounds: it waits for
// the outputs of some calls, gets them together, and goes on.
type ToolRound struct {
	ChatID string   `json:"chat_id"`
	Round  int      `json:"round"` // from 1
	Calls  []string `json:"calls"` // their ids, sorted
	Begun  int      `json:"begun"` // how often the tools of this round were begun

	// Outputs are there once all tools have run, by call. They are submitted again, never run again.
	Outputs map[string]string `json:"outputs,omitempty"`

	// Usage is what Coze counted for the chat up to this round.
	Usage results.Usage `json:"usage,omitzero"`
}

// NoteTools notes a round, which is text as JSON: before its tools begin, and with their outputs before these are submitted.
func (a *Attempt) NoteTools(ctx context.Context, round *ToolRound, text []byte) error {
	a.Tools, a.hasTools = round, true
	value := a.store.results.Keys.Seal(a.Result.ID, seal.Tools, string(text))
	return a.update(ctx, a.Result.ChatID, false, nil, []any{"tools", value})
}

// toolRound reads what NoteTools wrote, nil if there is none or it cannot be read: the tools then run once more.
func toolRound(id, value string, keys *results.Keys) *ToolRound {
	text, err := keys.Open(id, seal.Tools, value)
	round := new(ToolRound)
	if err != nil || json.Unmarshal([]byte(text), round) != nil {
		return nil
	}
	return round
}
