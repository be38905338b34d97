package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/conversation"
)

// conversations choose the conversation that a task asks in.
type conversations struct {
	*task
	names  *conversation.Names
	spares *spares
}

// choose returns the conversation to ask in, and creates it if there is none. It must be known before anything is paid
// for: Coze would create one by itself, but a question without a reply could then never be found again.
func (c *conversations) choose(ctx context.Context) (string, error) {
	switch {
	case c.payload.IsWorkflow():
		return "", nil
	case c.payload.ConversationID != "":
		return c.payload.ConversationID, nil
	case c.payload.ConversationKey != "":
		id, err := c.names.Get(ctx, c.payload.Holder(), c.payload.ConversationKey)
		if err != nil || id != "" {
			return id, err
		}
		if id, err = c.create(ctx); err != nil {
			return "", err
		}
		return c.names.Name(ctx, c.payload.Holder(), c.payload.ConversationKey, id)
	case c.rec.Result.ConversationID != "":
		return c.rec.Result.ConversationID, nil
	case c.payload.Stream && c.payload.ConnectorID == "":
		if spare := c.spares.take(c.coze, c.payload.BotID); spare != "" {
			return spare, nil
		}
	}
	return c.create(ctx)
}

func (c *conversations) create(ctx context.Context) (string, error) {
	call := c.spans.Call("coze conversation/create", c.coze)
	made, err := c.coze.CreateConversation(ctx, &coze.ConversationRequest{BotID: c.payload.BotID, ConnectorID: c.payload.ConnectorID})
	call.End(err)
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

// place finds the conversation of a chat that was noted without one. If nothing names it, the chat cannot be looked up.
// The question is asked again, and may have been answered and billed once already.
func (c *conversations) place(ctx context.Context) error {
	r := &c.rec.Result
	if r.ConversationID != "" || c.payload.IsWorkflow() {
		return nil
	}
	r.ConversationID = c.payload.ConversationID
	if key := c.payload.ConversationKey; key != "" {
		id, err := c.names.Get(ctx, c.payload.Holder(), key)
		if err != nil {
			return err
		}
		r.ConversationID = id
	}
	if r.ConversationID == "" {
		c.warn(fmt.Sprintf("chat %s was noted without its conversation, so nobody can look it up", r.ChatID))
		r.PossibleDuplicate = true
		c.chatEnded(r.ChatID)
	}
	return nil
}

// forget makes sure that the conversation is not used again, unless it is the caller's own.
func (c *conversations) forget(ctx context.Context) {
	if c.payload.ConversationID != "" {
		return
	}
	if key := c.payload.ConversationKey; key != "" {
		if err := c.names.Drop(ctx, c.payload.Holder(), key, c.rec.Result.ConversationID); err != nil {
			c.log.Warn("could not forget a conversation", "conversation", c.rec.Result.ConversationID, "err", err)
		}
	}
	c.rec.Result.ConversationID = ""
}

// isGone reports whether a refusal means that the conversation is gone, and that we may replace it. Code 4200 may
// as well be about the bot, the token or the region, so Coze is asked for the conversation itself.
func (c *conversations) isGone(ctx context.Context, e *coze.Error) bool {
	if c.payload.ConversationID != "" || c.payload.IsWorkflow() {
		return false
	}
	if e.Code == codeNotFound {
		_, err := c.coze.RetrieveConversation(ctx, c.rec.Result.ConversationID)
		retrieve, ok := errors.AsType[*coze.Error](err)
		return ok && (retrieve.Code == codeConversationUnknown || retrieve.Code == codeNotFound)
	}
	return e.Code == codeConversationUnknown
}

// Coze's codes that decide more than a class.
const (
	codeChatUnknown         = 4001
	codeConversationUnknown = 4002
	codeNotFound            = 4200
)
