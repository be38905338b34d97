package worker

import (
	"context"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
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
	byBot map[spareKey]spare
}

type spareKey struct {
	coze *coze.Client // of a credential
	bot  string
}

type spare struct {
	conversation string // empty: none
	making       bool
	at           time.Time // it was made, or the bot was asked
}

// take returns the bot's spare conversation, empty if there is none, and sees to the next one.
func (s *spares) take(client *coze.Client, bot string) string {
	key := spareKey{client, bot}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byBot == nil {
		s.byBot = make(map[spareKey]spare)
	}
	old := s.byBot[key]
	fresh := time.Since(old.at) < spareFor
	if old.making {
		return ""
	}
	s.byBot[key] = spare{at: time.Now(), making: fresh}
	if !fresh {
		return ""
	}
	s.calls.Go(func() { s.make(key) })
	return old.conversation
}

// make makes a spare conversation. If Coze refuses, the next question makes its own.
func (s *spares) make(key spareKey) {
	ctx, cancel := context.WithTimeout(s.life, spareWait)
	defer cancel()
	made := spare{at: time.Now()}
	if c, err := key.coze.CreateConversation(ctx, &coze.ConversationRequest{BotID: key.bot}); err == nil {
		made.conversation = c.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byBot[key] = made
}
