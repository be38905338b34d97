package record

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
)

// maxDeltas bounds a task's stream of deltas: an answer of 1,200 deltas fits
// three times over, and what is longer loses its beginning, never its end.
const maxDeltas = 4096

// fieldDelta is what a delta is encrypted as.
const fieldDelta = "delta"

// DeltaType says what a Delta means.
type DeltaType string

// The types of deltas.
const (
	DeltaText      DeltaType = "delta"     // Text continues the answer
	DeltaReasoning DeltaType = "reasoning" // Text continues the model's reasoning
	DeltaReset     DeltaType = "reset"     // the answer begins anew: forget what came
	DeltaEnd       DeltaType = "end"       // the task has ended: the result holds the answer
)

// deltaStatus is the type of a message that is about no delta: the record's status has changed.
const deltaStatus DeltaType = "status"

// Delta is one step of an answer on its way.
type Delta struct {
	Type DeltaType
	Text string
	ID   EntryID // of its entry in the stream; ignored by Attempt.Delta
}

// sealedDelta is a delta that may have been appended or not, as Redis got it: encrypted anew it would not be known again.
type sealedDelta struct{ kind, text, sealed string }

// Delta appends to the task's stream of deltas and publishes it. After an error
// the same delta may be given again, and is appended once; another one must be a reset.
func (a *Attempt) Delta(ctx context.Context, d Delta) error {
	return a.store.Publish(ctx, []Publication{{a, d}})[0]
}

// Publication is a delta of an attempt.
type Publication struct {
	*Attempt
	Delta
}

// Publish is Attempt.Delta for many attempts in one round trip. No attempt may be there twice.
func (s *Store) Publish(ctx context.Context, all []Publication) []error {
	calls, errs := make([]redisscript.Call, len(all)), make([]error, len(all))
	for i, p := range all {
		calls[i] = deltaCall(p.Attempt, p.Delta)
	}
	for i, reply := range redisscript.Run(ctx, s.rdb, calls) {
		errs[i] = all[i].published(reply)
	}
	return errs
}

func deltaCall(a *Attempt, d Delta) redisscript.Call {
	id := a.Result.ID
	if kind := string(d.Type); a.again.kind != kind || a.again.text != d.Text {
		if a.again.kind != "" {
			a.delta = EntryID{} // the one before was given up, and may be there under the id that comes next
		}
		a.again = sealedDelta{kind, d.Text, a.store.results.Keys.Seal(id, fieldDelta, d.Text)}
	}
	entry, before := "*", ""
	if a.delta != (EntryID{}) {
		entry, before = EntryID{a.delta.Milliseconds, a.delta.Number + 1}.String(), a.delta.String()
	}
	return redisscript.Call{Script: deltaScript, Keys: []string{results.Key(id), results.DeltasKey(id)},
		Args: []any{a.owner, a.again.kind, a.again.sealed, entry, before, seconds(openTTL), maxDeltas}}
}

func (a *Attempt) published(reply *redis.Cmd) error {
	entry, err := reply.Text()
	if err == nil && entry == "" {
		return fmt.Errorf("%s: %w", a.Result.ID, ErrFenced)
	}
	var id EntryID
	if err == nil {
		id, err = ParseEntryID(entry)
	}
	if err != nil {
		return fmt.Errorf("delta of %s: %w", a.Result.ID, results.KeyFault(results.DeltasKey(a.Result.ID), err))
	}
	a.delta, a.again = id, sealedDelta{}
	return nil
}

// Announce tells those who watch a task that its status has changed: the change must
// be in Redis by now, as they read the record.
func Announce(ctx context.Context, c redis.Cmdable, id string) error {
	return c.Publish(ctx, results.DeltasKey(id), string(deltaStatus)).Err()
}

// Message is what is said on the channel of a task's deltas.
type Message struct {
	Delta
	Before EntryID // the entry before it, zero for none
}

// Status reports whether the message is no delta: it tells that the record has changed.
func (m Message) Status() bool { return m.Type == deltaStatus }

// ParseMessage reads a message: a type, then of a delta its id, the id before it, and the text, encrypted as in the stream,
// or of an end the result as on [results.Channel].
func (s *Store) ParseMessage(id, message string) (Message, error) {
	kind, rest, _ := strings.Cut(message, " ")
	m := Message{Delta: Delta{Type: DeltaType(kind)}}
	if m.Status() {
		return m, nil
	}
	own, rest, _ := strings.Cut(rest, " ")
	before, text, ok := strings.Cut(rest, " ")
	var err, errBefore error
	m.ID, err = ParseEntryID(own)
	m.Before, errBefore = ParseEntryID(before)
	if !ok || err != nil || errBefore != nil {
		return m, fmt.Errorf("message about %s: want TYPE ID BEFORE TEXT", id)
	}
	switch m.Type {
	case DeltaEnd:
		m.Text = text
		return m, nil
	case DeltaText, DeltaReasoning, DeltaReset:
		m.Text, err = s.results.Keys.Open(id, fieldDelta, text)
		return m, err
	}
	return m, fmt.Errorf("message about %s: of no known type", id)
}
