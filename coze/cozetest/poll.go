package cozetest

import (
	"net/http"
	"slices"
)

// find looks up the chat that a call is about and plays the call's scripted
// fault. It returns nil when the reply is over. Chats without auto_save_history
// cannot be looked up.
func (x *exchange) find(conversationID, chatID string) *chat {
	x.entry.ConversationID, x.entry.ChatID = conversationID, chatID
	f := x.fake
	f.mu.Lock()
	conv, c := f.chat(conversationID, chatID)
	f.mu.Unlock()
	question := ""
	if c != nil {
		question = c.question
		x.entry.BotID, x.entry.Question = c.botID, question
	}
	if !x.met(question) {
		return nil
	}
	switch {
	case conv == nil:
		x.refuse(refuse(codeConversation, "").at(http.StatusBadRequest))
		return nil
	case c == nil || !c.saved:
		x.refuse(refuse(codeChat, "").at(http.StatusBadRequest))
		return nil
	}
	return c
}

// chat looks a chat up in its conversation; nil for what there is not. The caller holds mu.
func (f *Fake) chat(conversationID, chatID string) (conv *conversation, c *chat) {
	if conv = f.conversation(conversationID); conv == nil {
		return nil, nil
	}
	for _, ch := range conv.chats {
		if ch.id == chatID {
			c = ch
		}
	}
	return conv, c
}

func (f *Fake) state(c *chat) (status string, endedAt int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle(c)
	return c.status, c.endedAt
}

func (x *exchange) retrieveChat() {
	q := x.r.URL.Query()
	c := x.find(q.Get("conversation_id"), q.Get("chat_id"))
	if c == nil {
		return
	}
	status, ended := x.fake.state(c)
	x.reply(func(dst []byte) []byte {
		return c.append(append(dst, `,"data":`...), status, ended)
	})
}

// listMessages answers with what a chat produced: nothing before its end, and
// no data at all when it produced nothing. The verbose message comes first, as
// in Coze's documentation and unlike in the stream.
func (x *exchange) listMessages() {
	q := x.r.URL.Query()
	c := x.find(q.Get("conversation_id"), q.Get("chat_id"))
	if c == nil {
		return
	}
	said := slices.Concat(c.said, c.answers)
	status, _ := x.fake.state(c)
	switch {
	case status == statusAction && len(c.calls) > 0 && len(said) > 0:
	case status == statusCompleted, status == statusAction && len(c.calls) == 0:
		said = slices.Concat(c.rest[:1], said, c.rest[1:])
	default:
		x.reply(nil)
		return
	}
	x.reply(func(dst []byte) []byte { return appendMessages(append(dst, `,"data":`...), said) })
}

func (x *exchange) cancelChat() {
	var body struct {
		ConversationID string `json:"conversation_id"`
		ChatID         string `json:"chat_id"`
	}
	if !x.read(&body, nil) {
		return
	}
	c := x.find(body.ConversationID, body.ChatID)
	if c == nil {
		return
	}
	f := x.fake
	f.mu.Lock()
	f.settle(c)
	if c.status == statusInProgress {
		f.finish(c, statusCanceled)
		if c.canceled != nil {
			close(c.canceled)
		}
	}
	status, ended := c.status, c.endedAt
	f.mu.Unlock()
	if status != statusCanceled {
		x.refuse(refuse(codeNotRunning, "The chat is "+status+" and cannot be canceled").at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte {
		return c.append(append(dst, `,"data":`...), status, ended)
	})
}
