package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
		if spare := c.spares.take(ctx, c.coze, c.payload.BotID); spare != "" {
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

const (
	// spareFor is how old a spare conversation may be, and how soon a bot must be asked again to get one.
	spareFor = 10 * time.Minute

	spareWait = 5 * time.Second // for the call that makes one
)

// spares holds a new conversation ready for each bot whose answers are watched as they are written. Every such question needs
// a conversation before it is asked, and the call that makes one would stand between the question and the first piece of the
// answer. With a spare that call is made for the next question while this one is answered. A bot gets one at its second
// question. What a process leaves behind is an empty conversation for each bot, which costs nothing.
type spares struct {
	life  context.Context
	calls *sync.WaitGroup

	mu    sync.Mutex
	byBot map[spareKey]*spare
}

type spareKey struct {
	coze *coze.Client // of a credential
	bot  string
}

type spare struct {
	asked        time.Time
	made         chan struct{} // closed once Coze has answered; nil: no call was made
	conversation string        // empty: Coze refused. Read after made is closed.
}

// take returns the bot's spare conversation, empty if there is none, and begins to make the next one. A spare that is being
// made is waited for: its call began before the question's own could.
func (s *spares) take(ctx context.Context, client *coze.Client, bot string) string {
	key := spareKey{client, bot}
	next := &spare{asked: time.Now()}
	s.mu.Lock()
	if s.byBot == nil {
		s.byBot = make(map[spareKey]*spare)
	}
	old := s.byBot[key]
	fresh := old != nil && time.Since(old.asked) < spareFor
	if fresh {
		next.made = make(chan struct{})
		s.calls.Go(func() { s.make(key, next) })
	}
	s.byBot[key] = next
	s.mu.Unlock()
	if !fresh || old.made == nil {
		return ""
	}
	select {
	case <-old.made:
		return old.conversation
	case <-ctx.Done():
		return ""
	}
}

// make makes a spare conversation. If Coze refuses, the next question makes its own.
func (s *spares) make(key spareKey, next *spare) {
	defer close(next.made)
	ctx, cancel := context.WithTimeout(s.life, spareWait)
	defer cancel()
	if c, err := key.coze.CreateConversation(ctx, &coze.ConversationRequest{BotID: key.bot}); err == nil {
		next.conversation = c.ID
	}
}
