package cozetest

import (
	"net/http"
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

func (c *conversation) append(dst []byte) []byte {
	dst = append(dst, `,"data":{"id":`...)
	dst = appendString(dst, c.id)
	dst = append(dst, `,"created_at":`...)
	dst = strconv.AppendInt(dst, c.createdAt, 10)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, c.name)
	dst = append(dst, `,"last_section_id":`...)
	dst = appendString(dst, c.sectionID)
	dst = append(dst, `,"meta_data":`...)
	return append(appendMeta(dst, c.meta), '}')
}

func (x *exchange) createConversation() {
	var body struct {
		Name     string            `json:"name"`
		BotID    string            `json:"bot_id"`
		Messages []enterMessage    `json:"messages"`
		MetaData map[string]string `json:"meta_data"`
	}
	r := x.decode(&body)
	if r == nil {
		r = checkMeta(body.MetaData)
	}
	if r == nil && len([]rune(body.Name)) > 100 {
		r = refuse(codeParameter, "name is over 100 characters")
	}
	if r == nil && len(body.Messages) > 16 {
		r = refuse(codeTooMany, "messages has more than 16 elements")
	}
	for i := range body.Messages {
		if r == nil {
			r = body.Messages[i].check()
		}
	}
	x.entry.BotID, x.entry.MetaData = body.BotID, body.MetaData
	if r != nil {
		x.refuse(r.at(max(r.status, http.StatusBadRequest)))
		return
	}
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	c := f.newConversation()
	c.name, c.meta = body.Name, body.MetaData
	for i := range body.Messages {
		f.store(c, &body.Messages[i], nil)
	}
	x.entry.ConversationID = c.id
	data := c.append(nil)
	f.mu.Unlock()
	x.reply(func(dst []byte) []byte { return append(dst, data...) })
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
	f := x.fake
	f.mu.Lock()
	c := f.conversation(id)
	var data []byte
	if c != nil {
		data = c.append(nil)
	}
	f.mu.Unlock()
	if c == nil {
		x.refuse(refuse(codeConversation, message(codeConversation)).at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte { return append(dst, data...) })
}

func (x *exchange) createMessage() {
	id := x.r.URL.Query().Get("conversation_id")
	var body enterMessage
	r := x.decode(&body)
	if r == nil {
		r = body.check()
	}
	x.entry.ConversationID, x.entry.MetaData = id, body.MetaData
	if r != nil {
		x.refuse(r.at(max(r.status, http.StatusBadRequest)))
		return
	}
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	c := f.conversation(id)
	var data []byte
	if c != nil {
		data = f.store(c, &body, nil).appendStored([]byte(`,"data":`))
	}
	f.mu.Unlock()
	if c == nil {
		x.refuse(refuse(codeConversation, message(codeConversation)).at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte { return append(dst, data...) })
}

// deleteMessage takes a question or an answer out of a conversation; of an answer also
// what its chat produced beside it.
func (x *exchange) deleteMessage() {
	q := x.r.URL.Query()
	id, messageID := q.Get("conversation_id"), q.Get("message_id")
	x.entry.ConversationID = id
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	c := f.conversation(id)
	var data []byte
	if c != nil {
		if gone, ok := c.delete(messageID); ok {
			data = gone.appendStored([]byte(`,"data":`))
		}
	}
	f.mu.Unlock()
	switch {
	case c == nil:
		x.refuse(refuse(codeConversation, message(codeConversation)).at(http.StatusBadRequest))
	case data == nil:
		x.refuse(refuse(codeParameter, "there is no such question or answer").at(http.StatusBadRequest))
	default:
		x.reply(func(dst []byte) []byte { return append(dst, data...) })
	}
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
