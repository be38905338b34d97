package cozetest

import (
	"slices"
	"strconv"
	"time"
)

// conversation is guarded by Fake.mu.
type conversation struct {
	id, sectionID, name string
	meta                map[string]string
	createdAt           int64
	messages            []storedMessage
	chats               []*chat // as accepted
	active              *chat   // occupies the conversation: running, or waiting for a tool's output
	most                int
	restsSince          time.Time
}

// newConversation is called with mu held.
func (f *Fake) newConversation() *conversation {
	c := &conversation{id: f.id(), createdAt: f.cfg.now().Unix()}
	c.sectionID = c.id
	f.conversations[c.id] = c
	f.rest(c)
	return c
}

// conversation looks one up and brings it up to date. The caller holds mu.
func (f *Fake) conversation(id string) *conversation {
	f.forget()
	c := f.conversations[id]
	if c != nil && c.active != nil {
		f.settle(c.active)
	}
	return c
}

// idle is a conversation that may be dropped, if it has been idle since.
type idle struct {
	conv  *conversation
	since time.Time
}

// rest notes that a conversation has nothing to do. The caller holds mu.
func (f *Fake) rest(c *conversation) {
	c.restsSince = time.Now()
	if f.cfg.Forget > 0 {
		f.idle = append(f.idle, idle{c, c.restsSince})
	}
}

// forget drops conversations that have been idle for Config.Forget. The caller
// holds mu. A conversation that went on has a newer entry, and this one is void.
func (f *Fake) forget() {
	n := 0
	for _, e := range f.idle {
		if time.Since(e.since) < f.cfg.Forget {
			break
		}
		running := e.conv.active != nil && e.conv.active.status == statusInProgress
		if !running && e.conv.restsSince.Equal(e.since) {
			delete(f.conversations, e.conv.id)
		}
		n++
	}
	// Shifting the rest down would cost a soak run megabytes a call; append
	// moves it when it has to.
	clear(f.idle[:n])
	f.idle = f.idle[n:]
}

func (c *conversation) append(dst []byte) ([]byte, *refusal) {
	dst = appendString(append(dst, `,"data":{"id":`...), c.id)
	dst = strconv.AppendInt(append(dst, `,"created_at":`...), c.createdAt, 10)
	dst = appendString(append(dst, `,"name":`...), c.name)
	dst = appendString(append(dst, `,"last_section_id":`...), c.sectionID)
	return append(appendMeta(append(dst, `,"meta_data":`...), c.meta), '}'), nil
}

func (x *exchange) createConversation() {
	var body struct {
		Name     string            `json:"name"`
		BotID    string            `json:"bot_id"`
		Messages []enterMessage    `json:"messages"`
		MetaData map[string]string `json:"meta_data"`
	}
	good := x.read(&body, func() *refusal {
		x.entry.BotID, x.entry.MetaData = body.BotID, body.MetaData
		switch {
		case len([]rune(body.Name)) > 100:
			return refuse(codeParameter, "name is over 100 characters")
		case len(body.Messages) > 16:
			return refuse(codeTooMany, "messages has more than 16 elements")
		}
		for i := range body.Messages {
			if r := body.Messages[i].check(); r != nil {
				return r
			}
		}
		return checkMeta(body.MetaData)
	})
	if !good || !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	c := f.newConversation()
	c.name, c.meta = body.Name, body.MetaData
	for i := range body.Messages {
		f.store(c, &body.Messages[i], nil)
	}
	f.mu.Unlock()
	x.entry.ConversationID = c.id
	x.within(c.id, (*conversation).append)
}

// store adds a message of the caller's to a conversation: to a chat's turn, or
// on its own (ch nil), when its bot, chat and type are empty. The caller holds mu.
func (f *Fake) store(c *conversation, m *enterMessage, ch *chat) *storedMessage {
	s := storedMessage{
		id: f.id(), conversationID: c.id, sectionID: c.sectionID,
		role: m.Role, content: m.Content, contentType: m.ContentType,
		meta: m.MetaData, createdAt: f.cfg.now().Unix(),
	}
	if f.cfg.NoMetaData {
		s.meta = nil
	}
	if ch != nil {
		s.botID, s.chatID, s.kind = ch.botID, ch.id, m.Type
		if s.kind == "" {
			s.kind = "question"
			if s.role == "assistant" {
				s.kind = "answer"
			}
		}
	}
	c.messages = append(c.messages, s)
	return &c.messages[len(c.messages)-1]
}

func (x *exchange) retrieveConversation() {
	id := x.r.URL.Query().Get("conversation_id")
	x.entry.ConversationID = id
	x.within(id, (*conversation).append)
}

func (x *exchange) createMessage() {
	id := x.r.URL.Query().Get("conversation_id")
	x.entry.ConversationID = id
	var body enterMessage
	good := x.read(&body, func() *refusal {
		x.entry.MetaData = body.MetaData
		return body.check()
	})
	if good && x.met("") {
		x.within(id, func(c *conversation, dst []byte) ([]byte, *refusal) {
			return x.fake.store(c, &body, nil).appendStored(append(dst, `,"data":`...)), nil
		})
	}
}

// deleteMessage takes a question or an answer out of a conversation; of an answer also
// what its chat produced beside it.
func (x *exchange) deleteMessage() {
	q := x.r.URL.Query()
	id := q.Get("conversation_id")
	x.entry.ConversationID = id
	if !x.met("") {
		return
	}
	x.within(id, func(c *conversation, dst []byte) ([]byte, *refusal) {
		gone, ok := c.delete(q.Get("message_id"))
		if !ok {
			return nil, refuse(codeParameter, "there is no such question or answer")
		}
		return gone.appendStored(append(dst, `,"data":`...)), nil
	})
}

// delete is called with Fake.mu held. A chat whose question is gone is no turn any more.
func (c *conversation) delete(messageID string) (gone storedMessage, ok bool) {
	i := slices.IndexFunc(c.messages, func(m storedMessage) bool {
		return m.id == messageID && (m.kind == "question" || m.kind == "answer" || m.kind == "")
	})
	if i < 0 {
		return gone, false
	}
	gone = c.messages[i]
	c.messages = slices.Delete(c.messages, i, i+1)
	if gone.kind == "answer" {
		c.messages = slices.DeleteFunc(c.messages, func(m storedMessage) bool {
			return m.chatID == gone.chatID && m.kind != "question" && m.kind != "answer" && m.kind != ""
		})
	}
	for _, ch := range c.chats {
		if gone.kind == "question" && ch.id == gone.chatID {
			ch.unasked = true
		}
	}
	return gone, true
}
