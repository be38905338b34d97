package tasks

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// Item is a chat to be enqueued.
type Item struct {
	Chat    *Chat
	Options Options
}

// Enqueued is the outcome of an Item: what Enqueue would have returned for it.
type Enqueued struct {
	ID        string
	CreatedAt results.Time // as its record has it
	Err       error
}

// Outcomes are the outcomes of items, in their order.
type Outcomes []Enqueued

// FirstErr is the first error, nil if all items are in the queue.
func (o Outcomes) FirstErr() error {
	for _, e := range o {
		if e.Err != nil {
			return e.Err
		}
	}
	return nil
}

// EnqueueAll is Enqueue for many chats, in their order. It takes two round trips for about 100 of them, five if they have
// conversations.
//
// Turns of one conversation keep their order, also over repeated calls. If a turn could not be enqueued and a repeated call
// may enqueue it, the turns behind it in its conversation are not enqueued either and get its error.
func (c *Client) EnqueueAll(ctx context.Context, items []Item) Outcomes {
	parent := traceParent(ctx)
	outcomes := make(Outcomes, len(items))
	added := c.queue.Add(ctx, len(items), func(i int) *queue.Submission {
		s := new(queue.Submission)
		s.Err = items[i].prepare(s, parent, c.queue.Results.Keys)
		_, s.Final = errors.AsType[*InvalidError](s.Err)
		return s
	})
	for i, s := range added {
		outcomes[i] = Enqueued{ID: s.Turn.Place.ID, CreatedAt: s.Entry.CreatedAt, Err: s.Err}
	}
	return outcomes
}

// prepare checks an item and fills in the submission of it.
func (item Item) prepare(s *queue.Submission, parent string, keys *results.Keys) error {
	o, c := item.Options, *item.Chat
	err := o.complete()
	s.Turn.Place.ID = o.ID
	if err != nil {
		return err
	}
	c.TraceParent = cmp.Or(c.TraceParent, parent)
	c.UserID, c.Chatflow = cmp.Or(c.UserID, DefaultUserID), c.IsChatflow()
	if err := c.Validate(); err != nil {
		return err
	}
	place := lane.Place{Lane: c.Lane(), ID: o.ID}
	if place.Queue, err = Shard(o.Queue, cmp.Or(place.Lane, o.ID)); err != nil {
		return err
	}
	if o.Delay > 0 && place.Lane != "" {
		return invalid("delay", "it doesn't go with a conversation, whose turns run in order")
	}
	s.Turn.Place = place
	payload, body, err := c.pack(keys, o.ID)
	if err != nil {
		return err
	}
	s.Encode = func(seq int64) ([]byte, error) {
		if seq == 0 {
			return payload, nil
		}
		c.LaneSeq = seq
		return c.encode()
	}
	s.Type = c.Type()
	s.Tenant, s.Attempts, s.Timeout, s.Retention, s.InsteadOf = c.Tenant, o.Attempts, o.Timeout, o.Retention, o.InsteadOf
	s.Delay = o.Delay
	s.Entry = record.Entry{Result: c.Record(o.ID, place.Queue), Body: body, Kept: o.InBatch, Keep: o.Keep, AskedAt: o.AskedAt, Tools: o.Tools}
	s.Entry.CreatedAt = results.At(time.Now())
	s.Entry.ChatID, s.Entry.PossibleDuplicate, s.Entry.Digest = o.ChatID, o.PossibleDuplicate, o.Digest
	s.Entry.ConversationID = cmp.Or(o.ConversationID, s.Entry.ConversationID)
	return nil
}

// pack makes the payload and the body. The chat keeps what is in the payload.
func (c *Chat) pack(keys *results.Keys, id string) (payload, body []byte, err error) {
	if payload, err = c.encode(); err != nil {
		return nil, nil, err
	}
	if len(payload) > maxInline { // otherwise its messages are shorter, too
		if body, err = c.SplitBody(); err != nil {
			return nil, nil, err
		}
	}
	if body == nil && keys == nil {
		return payload, nil, nil
	}
	if body != nil {
		body = []byte(keys.Seal(id, fieldBody, string(body)))
	}
	if err := c.seal(keys, id); err != nil {
		return nil, nil, err
	}
	payload, err = c.encode()
	return payload, body, err
}
