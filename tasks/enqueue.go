package tasks

import (
	"cmp"
	"context"
	"errors"

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

// Enqueued is what became of an Item: what Enqueue would have returned for it.
type Enqueued struct {
	ID  string
	Err error
}

// EnqueueAll is Enqueue for many chats in their order, and returns what became of each,
// aligned with items. It takes two round trips for some 100 of them, five where they
// have conversations.
//
// Turns of one conversation keep their order, in repeated calls too: where a turn could
// not be enqueued, and may be if the call is repeated, those behind it in its
// conversation are not either and get its error.
func (c *Client) EnqueueAll(ctx context.Context, items []Item) []Enqueued {
	parent := traceParent(ctx)
	enqueued := make([]Enqueued, len(items))
	added := c.queue.Add(ctx, len(items), func(i int) *queue.Submission {
		return submission(items[i], parent, c.queue.Results.Keys)
	})
	for i, s := range added {
		enqueued[i] = Enqueued{ID: s.Place.ID, Err: s.Err}
	}
	return enqueued
}

// submission checks a chat and makes of it what the queue takes.
func submission(item Item, parent string, keys *results.Keys) *queue.Submission {
	o, wire := item.Options, *item.Chat
	s := new(queue.Submission)
	err := o.complete()
	s.Place.ID = o.ID
	if err == nil {
		err = wire.submit(s, &o, parent, keys)
	}
	s.Err = err
	_, s.Final = errors.AsType[*InvalidError](err)
	return s
}

func (c *Chat) submit(s *queue.Submission, o *Options, parent string, keys *results.Keys) (err error) {
	c.TraceParent = cmp.Or(c.TraceParent, parent)
	c.UserID = cmp.Or(c.UserID, DefaultUserID)
	if err := c.Validate(); err != nil {
		return err
	}
	s.Place = lane.Place{Lane: c.Lane(), ID: o.ID}
	if s.Place.Queue, err = Shard(o.Queue, cmp.Or(s.Place.Lane, o.ID)); err != nil {
		return err
	}
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
	s.Attempts, s.Timeout, s.Retention, s.InsteadOf = o.Attempts, o.Timeout, o.Retention, o.InsteadOf
	s.Entry = record.Entry{Result: c.Record(o.ID, s.Place.Queue), Body: body, Kept: o.InBatch, Keep: o.Keep, AskedAt: o.AskedAt}
	s.Entry.ChatID, s.Entry.PossibleDuplicate = o.ChatID, o.PossibleDuplicate
	s.Entry.ConversationID = cmp.Or(o.ConversationID, s.Entry.ConversationID)
	return nil
}

// pack makes the payload and the body, and leaves in the chat what is in the payload.
func (c *Chat) pack(keys *results.Keys, id string) (payload, body []byte, err error) {
	if payload, err = c.encode(); err != nil {
		return nil, nil, err
	}
	if len(payload) > maxInline { // else its messages are not, either
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
