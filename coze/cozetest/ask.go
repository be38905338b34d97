package cozetest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// chatBody is the body of POST /v3/chat. user_id is a string: a bare number
// fails to decode, which is the refusal that Coze gives.
type chatBody struct {
	BotID    string            `json:"bot_id"`
	UserID   string            `json:"user_id"`
	Messages []enterMessage    `json:"additional_messages"`
	Stream   bool              `json:"stream"`
	Save     *bool             `json:"auto_save_history"`
	MetaData map[string]string `json:"meta_data"`
}

func (b *chatBody) saved() bool { return b.Save == nil || *b.Save }

func (b *chatBody) check() *refusal {
	switch {
	case b.UserID == "":
		return refuse(codeParameter, "user_id is required")
	case len(b.Messages) > 100:
		return refuse(codeTooMany, "additional_messages has more than 100 elements")
	case !b.Stream && !b.saved():
		return refuse(codeHistory, "auto_save_history must be true when stream is false")
	}
	for i := range b.Messages {
		if r := b.Messages[i].check(); r != nil {
			return r
		}
	}
	return checkMeta(b.MetaData)
}

func (x *exchange) createChat() {
	f := x.fake
	tok := bearer(x.r)
	if tok == "" {
		x.refuse(refuse(codePermission, ""))
		return
	}
	var body chatBody
	if r := x.decode(&body); r != nil {
		x.refuse(r)
		return
	}
	x.entry.ConversationID = x.r.URL.Query().Get("conversation_id")
	x.entry.BotID, x.entry.UserID = body.BotID, body.UserID
	x.entry.MetaData, x.entry.Stream = body.MetaData, body.Stream
	switch {
	case body.BotID == "":
		x.refuse(refuse(codeParameter, "bot_id is required"))
		return
	case len(f.cfg.Bots) > 0 && !slices.Contains(f.cfg.Bots, body.BotID):
		// The bot is looked up before the token is: a caller with a bad token
		// may be told that a bot does not exist.
		x.refuse(refuse(codeResource, "The resource bot_id="+body.BotID+" does not exist"))
		return
	case !f.knows(tok):
		x.refuse(refuse(codePermission, ""))
		return
	}
	if r := body.check(); r != nil {
		x.refuse(r)
		return
	}
	if x.limited() {
		return
	}
	x.ask(&body)
}

// ask begins a chat whose body is good, and answers.
func (x *exchange) ask(body *chatBody) {
	c, ft, r := x.accept(body)
	switch {
	case r != nil && r.code == codeBusy && body.Stream:
		x.event(&Fault{Kind: Error, Code: r.code, Msg: r.msg})
	case r != nil:
		x.refuse(r)
	case c == nil:
		x.refused(ft, body.Stream)
	default:
		x.play(c, body.Stream)
	}
}

// play answers with a chat that runs, or with its fault.
func (x *exchange) play(c *chat, stream bool) {
	switch ft := c.fault; {
	case ft.Kind == Hangup || ft.Kind == Gateway:
		x.fake.detach(c)
		x.fault(ft)
	case stream && ft.Kind == Stray:
		x.fake.detach(c)
		x.stray(c)
	case stream && ft.Kind != Envelope:
		x.stream(c)
	default:
		x.answerLater(c)
	}
}

// refused plays a fault that leaves no chat behind.
func (x *exchange) refused(ft *Fault, stream bool) {
	if stream && (ft.Kind == Error || ft.Kind == Bare) {
		x.event(ft)
		return
	}
	x.fault(ft)
}

// accept decides about a chat: it comes to be, with the fault that it will meet
// (never nil); or it does not and the fault or a refusal says why.
func (x *exchange) accept(body *chatBody) (*chat, *Fault, *refusal) {
	f := x.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	id := x.entry.ConversationID
	conv := f.conversation(id)
	if id != "" && conv == nil {
		return nil, nil, refuse(codeConversation, "")
	}
	question, ok := asked(body, conv)
	if !ok {
		return nil, nil, refuse(codeParameter, "there is no message to answer")
	}
	x.entry.Question = question
	plain, directives, err := f.directives(question)
	if err != nil {
		return nil, nil, refuse(codeParameter, err.Error())
	}
	if conv != nil && conv.active != nil {
		conv.most = max(conv.most, 2)
		return nil, nil, refuse(codeBusy, "")
	}
	ft := x.pick("chat", question, directives)
	if ft.refuses() {
		if ft.Kind == Expired {
			delete(f.conversations, id)
		}
		return nil, ft, nil
	}
	if conv == nil || ft.Kind == Move {
		conv = f.newConversation()
	}
	c := f.newChat(conv, body, question, plain, ft)
	x.entry.ConversationID, x.entry.ChatID = conv.id, c.id
	return c, ft, nil
}

// asked is the question: the last additional message, or else the last message
// of the conversation.
func asked(body *chatBody, conv *conversation) (string, bool) {
	if n := len(body.Messages); n > 0 {
		return body.Messages[n-1].text(), true
	}
	if conv == nil || len(conv.messages) == 0 {
		return "", false
	}
	m := &conv.messages[len(conv.messages)-1]
	return readable(m.content, m.contentType), m.role == "user"
}

// newChat is called with mu held.
func (f *Fake) newChat(conv *conversation, body *chatBody, question, plain string, ft *Fault) *chat {
	c := &chat{
		id: f.id(), conv: conv, convID: conv.id, botID: body.BotID, question: question,
		meta: body.MetaData, saved: body.saved(), fault: ft,
		createdAt: f.cfg.now().Unix(), start: time.Now(),
		latency: cmp.Or(ft.Latency, f.cfg.Latency), pace: ft.pace(f.cfg.DeltaPace), deltas: cmp.Or(ft.Deltas, f.cfg.deltas()),
		status: statusInProgress,
	}
	if f.cfg.CancelEnds {
		c.canceled = make(chan struct{})
	}
	c.wait()
	f.say(c, plain, f.names(body))
	c.takes = c.length()
	for i := range body.Messages {
		c.usage.input += tokens(body.Messages[i].text())
		if c.saved {
			f.store(conv, &body.Messages[i], c)
		}
	}
	conv.chats = append(conv.chats, c)
	conv.active = c
	conv.most = max(conv.most, 1)
	f.journal.accept(question)
	return c
}

// answerLater is the reply of stream:false: the chat as it begins.
func (x *exchange) answerLater(c *chat) {
	x.fake.detach(c)
	switch ft := c.fault; {
	case ft.Kind == Stall && ft.For == 0:
		x.log(0, 0)
		x.hang()
		return
	case ft.Kind == Stall && !x.sleep(ft.For):
		x.log(0, 0)
		return
	case ft.Kind == Cut:
		// The reply breaks off inside its JSON, and the connection with it.
		x.log(http.StatusOK, 0)
		x.w.Header().Set("Content-Type", "application/json; charset=utf-8")
		x.w.Write(c.append(appendEnvelope(nil, 0, ""), statusInProgress, 0)[:40])
		http.NewResponseController(x.w).Flush()
		panic(http.ErrAbortHandler)
	}
	x.reply(func(dst []byte) []byte {
		return c.append(append(dst, `,"data":`...), statusInProgress, 0)
	})
}
