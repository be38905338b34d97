package coze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// tailTime bounds the read of a body after its terminal event. It is long enough for an error that follows the event,
// and for the end of the body, after which the connection can be used again; it is too short to delay an answer.
const tailTime = time.Second

// Stream is a chat in progress. Use it from one goroutine; only Close may be called from any.
type Stream struct {
	// Deltas makes Events yield the pieces of messages too. Set it before Events. Without it deltas cost next to
	// nothing: only the reasoning in them is kept, and a delta is yielded only if it is the first event to name the chat.
	Deltas bool

	eventStream

	heard                  bool // an event of a chat came, with or without the chat's id
	told                   bool // an event about the chat's creation was yielded
	created                bool // chat.created came; its id is the chat's
	interrupted            bool // a chatflow waits for the user's words
	first                  time.Time
	chatID, conversationID string
	chatIDBytes            []byte
	stray                  string // the first other chat whose event came
	drafts                 drafts
	answers                int // bytes of the completed ones
}

// Stream asks a question and returns when the headers of Coze's reply are there. An error, an [*Error], means that the
// question was refused or may not have arrived: see its Zone. Close the Stream, or read its Events to their end.
func (c *Client) Stream(ctx context.Context, request *ChatRequest) (*Stream, error) {
	own, err := request.prepared(true)
	if err != nil {
		return nil, err
	}
	return c.stream(ctx, chatCall(own))
}

// stream makes a call whose reply is a chat's stream. A call about a chat expects that one's events.
func (c *Client) stream(ctx context.Context, a call) (*Stream, error) {
	s := new(Stream)
	if a.chatID != "" {
		s.learn(a.chatID, a.conversationID)
	}
	env, err := s.start(ctx, c, a)
	if err != nil {
		return nil, err
	}
	if env != nil {
		return nil, s.notStreamed(env)
	}
	s.drafts.limit = c.maxEvent()
	return s, nil
}

// notStreamed is the failure of a good reply that is not a stream, from a proxy or a server that does not stream. The chat
// runs all the same.
func (s *Stream) notStreamed(env *envelope) error {
	var chat Chat
	if err := s.exchange.into(env, &chat); err != nil {
		return err
	}
	e := s.exchange.failure()
	e.Zone, e.ChatID, e.ConversationID = ZoneCreated, chat.ID, chat.ConversationID
	e.Class, e.Err = ClassTruncated, fmt.Errorf("%w: the chat was made, but the reply is no stream", ErrTruncated)
	return e
}

// Stray is the id of another chat whose events were in the stream, "" if there was none. Events leaves these out. The
// stream's own chat is the one that chat.created names; without chat.created, the first one named in the conversation
// of the question.
func (s *Stream) Stray() string { return s.stray }

// Began reports whether an event of a chat has come. The chat exists then, even if no event names it.
func (s *Stream) Began() bool { return s.heard }

// Drafts are the answers that had begun but not completed when the chat or the stream ended, put together from their
// deltas, at most Client.MaxEvent bytes. Read them after Events.
func (s *Stream) Drafts() []Message { return s.drafts.messages() }

// FirstAnswer is when the first piece of a message came; zero before that.
func (s *Stream) FirstAnswer() time.Time { return s.first }

// Events yields the stream's events as they come, once: the creation of the chat, every completed message, the deltas
// if Deltas is set, and last one terminal event. It ends without an error only after the terminal event of a chat that
// did not fail. A chat that failed, was canceled or waits for tools yields its terminal event together with [Chat.Err].
// Any other error, also an [*Error], comes alone and last. Repeated in_progress events, audio and unknown events are
// left out.
//
// The first terminal event counts, unless an error or chat.failed follows it in the same stream. It is yielded at the
// end of the stream, at most a second later. The ReasoningContent of a completed answer is put together from its
// deltas, at most Client.MaxEvent bytes. When Events has ended, by itself or by a break, the Stream is closed.
func (s *Stream) Events() iter.Seq2[Event, error] {
	return events(&s.eventStream, opChat, s.next, func(e Event) bool { return e.Type.Terminal() })
}

func (s *Stream) next() (Event, error) {
	for {
		f, err := s.frames.next()
		if err != nil {
			if errors.Is(err, ErrEventTooLarge) {
				s.drafts.torn(s.frames.unfinished())
			}
			return Event{}, s.cut(err)
		}
		kind := f.kind()
		if s.first.IsZero() && (kind == EventMessageDelta || kind == EventMessageCompleted) {
			s.first = time.Now()
		}
		switch {
		case kind == EventMessageDelta && !s.Deltas && s.chatID != "":
			if s.owns(f.data) {
				s.drafts.gather(f.data)
			}
		case kind == EventDone && s.interrupted:
			return s.askedBack(f.data)
		case kind == EventDone:
			return Event{}, s.cut(io.EOF)
		case kind == EventError:
			e := s.refused(f.data)
			if s.exchange.refusedToken(e) {
				_ = s.exchange.renew(s.ctx, e) // for the next ask: this stream is spent
			}
			return Event{}, e
		case kind.Terminal():
			s.heard = true
			event, ok, err := s.end(kind, f.data)
			if ok || err != nil {
				return event, err
			}
		case kind.status() != "" || kind == EventMessageCompleted || kind == EventMessageDelta:
			s.heard = true
			event, ok, err := s.read(kind, f.data)
			if ok || err != nil {
				return event, err
			}
		case kind == EventAudioDelta:
		default:
			continue // a ping does not restart the idle timer
		}
		s.heard, s.body.again = true, true
	}
}

// kind is a frame's event type. A frame without a name is done, an error if its data has a code, or nothing.
func (f *frame) kind() EventType {
	if f.name != "" {
		return f.name
	}
	data := bytes.TrimSpace(f.data)
	if !f.bare && (bytes.Equal(data, doneMark) || string(data) == `"[DONE]"`) {
		return EventDone
	}
	if env, ok := envelopeOf(data); ok && env.code != 0 {
		return EventError
	}
	return ""
}

// read decodes an event before the terminal one; ok is false for one to leave out.
func (s *Stream) read(kind EventType, data []byte) (event Event, ok bool, err error) {
	if kind == EventMessageCompleted || kind == EventMessageDelta {
		message := new(Message)
		if err := message.UnmarshalJSON(data); err != nil {
			if kind == EventMessageDelta {
				return Event{}, false, nil // the completed message is what counts
			}
			return Event{}, false, s.unreadable(kind, err)
		}
		if s.foreign(kind, message.ChatID, message.ConversationID) {
			return Event{}, false, nil
		}
		s.interrupted = s.interrupted || message.interrupts()
		news := s.chatID == "" && message.ChatID != ""
		s.learn(message.ChatID, message.ConversationID)
		if kind == EventMessageDelta {
			s.drafts.gather(data)
			return Event{Type: kind, Message: message}, s.Deltas || news, nil
		}
		if message.isAnswer() || message.Type == MessageFollowUp {
			keepString(&message.ReasoningContent, s.drafts.complete(message.ID))
			// Callers keep these messages, and a stream may last as long as its attempt: bound their sum.
			if s.answers += len(message.Content) + len(message.ReasoningContent); s.answers > s.frames.max {
				return Event{}, false, s.cut(fmt.Errorf("%w of %d bytes", ErrAnswerTooLarge, s.frames.max))
			}
		}
		return Event{Type: kind, Message: message}, true, nil
	}
	if s.chatID != "" && (s.created || kind != EventChatCreated) {
		return Event{}, false, nil // in_progress repeats created
	}
	chat := new(Chat)
	if err := chat.UnmarshalJSON(data); err != nil {
		return Event{}, false, s.unreadable(kind, err)
	}
	if s.foreign(kind, chat.ID, chat.ConversationID) {
		return Event{}, false, nil
	}
	if kind == EventChatCreated && chat.ID != "" {
		s.created = true
		if s.chatID != "" && s.chatID != chat.ID { // the events before were of another chat
			keepString(&s.stray, s.chatID)
			s.chatID, s.conversationID, s.answers, s.drafts = "", "", 0, drafts{limit: s.drafts.limit}
		}
	}
	news := !s.told || chat.ID != ""
	s.told = true
	s.learn(chat.ID, chat.ConversationID)
	s.adopt(chat)
	return Event{Type: kind, Chat: chat}, news, nil
}

// foreign reports whether an event belongs to another chat. Coze may run the chat in another conversation than the one
// in the request; chat.created says so then.
func (s *Stream) foreign(kind EventType, chatID, conversationID string) bool {
	asked := s.exchange.call.conversationID
	switch {
	case chatID == "" || chatID == s.chatID:
		return false
	case s.chatID != "":
		if kind == EventChatCreated && !s.created {
			return false
		}
	case kind == EventChatCreated || asked == "" || conversationID == "" || conversationID == asked:
		return false
	}
	keepString(&s.stray, chatID)
	return true
}

// owns reports whether a delta that is not yielded belongs to the stream's chat. Nearly all contain the chat's id, so a
// search for its bytes comes before decoding.
func (s *Stream) owns(data []byte) bool {
	if bytes.Contains(data, s.chatIDBytes) {
		return true
	}
	message := new(Message)
	return message.UnmarshalJSON(data) == nil && !s.foreign(EventMessageDelta, message.ChatID, message.ConversationID)
}

// learn keeps the first ids in the stream.
func (s *Stream) learn(chatID, conversationID string) {
	if s.chatID == "" && chatID != "" {
		s.chatID, s.chatIDBytes = chatID, []byte(chatID)
	}
	keepString(&s.conversationID, conversationID)
}

// adopt fills in what the stream knows about a chat.
func (s *Stream) adopt(chat *Chat) {
	keepString(&chat.ID, s.chatID)
	keepString(&chat.ConversationID, s.conversationID)
	s.exchange.adopt(chat)
}

// end decodes a terminal event and reads on for an event that overrules it; ok is false for another chat's event.
func (s *Stream) end(kind EventType, data []byte) (event Event, ok bool, err error) {
	chat, err := s.terminal(kind, data)
	if chat == nil || err != nil {
		return Event{}, false, err
	}
	s.body.rest(tailTime)
	for done := false; ; {
		f, err := s.frames.next()
		if err != nil {
			break // the answer is complete; how the connection ends does not matter
		}
		if done {
			continue
		}
		switch f.kind() {
		case EventDone:
			done, chat.DebugURL = true, debugURLOf(f.data)
		case EventError:
			e := s.refused(f.data)
			e.Zone, e.Ended = ZoneCreated, true
			return Event{}, false, e
		case EventChatFailed:
			if chat.Status == StatusFailed {
				break
			}
			if failed, err := s.terminal(EventChatFailed, f.data); err == nil && failed != nil {
				kind, chat = EventChatFailed, failed
			}
		}
	}
	event = Event{Type: kind, Chat: chat}
	if e := chat.Err(); e != nil {
		return event, true, e
	}
	return event, true, nil
}

// terminal reads the chat of a terminal event, nil if it is another chat's. The event's type gives the status, except
// that a chat.completed whose chat says failed or canceled is that.
func (s *Stream) terminal(kind EventType, data []byte) (*Chat, error) {
	chat := new(Chat)
	if err := chat.UnmarshalJSON(data); err != nil {
		if kind != EventChatFailed {
			return nil, s.unreadable(kind, err)
		}
		chat.LastError = &LastError{Message: s.exchange.line(string(data), maxMessage)}
	}
	if kind != EventChatCompleted || (chat.Status != StatusFailed && chat.Status != StatusCanceled) {
		chat.Status = kind.status()
	}
	if s.foreign(kind, chat.ID, chat.ConversationID) {
		return nil, nil
	}
	if env, ok := envelopeOf(data); ok && s.exchange.logID == "" {
		s.exchange.logID = s.exchange.line(env.logID(), maxLogID)
	}
	s.learn(chat.ID, chat.ConversationID)
	s.adopt(chat)
	return chat, nil
}

// failure is an Error with the ids and the zone that the stream has reached.
func (s *Stream) failure() *Error {
	e := s.exchange.failure()
	e.ChatID, e.ConversationID = s.chatID, s.conversationID
	if s.chatID != "" && s.heard {
		e.Zone = ZoneCreated
	}
	return e
}

// refused is the Error of an error event. With a code, and before any event of a chat, it is a refusal.
func (s *Stream) refused(data []byte) *Error {
	e := s.failure()
	env, ok := envelopeOf(data)
	e.Code = env.code
	keepString(&e.LogID, s.exchange.line(env.logID(), maxLogID))
	switch {
	case ok && env.message() != "":
		e.Message = s.exchange.line(env.message(), maxMessage)
	case ok || len(bytes.TrimSpace(data)) == 0:
		e.Message = "an error event without a reason"
	default:
		e.Message = s.exchange.line(string(data), maxMessage)
	}
	if e.Code != 0 && !s.heard {
		e.Zone = ZoneRefused
	}
	e.judge(s.exchange.client.Codes)
	return e
}

// unreadable is the failure of a complete event that does not have the documented form.
func (s *Stream) unreadable(kind EventType, err error) *Error {
	e := s.failure()
	e.Class, e.Err = ClassTruncated, fmt.Errorf("%w: the data of %s is not readable: %w", ErrTruncated, kind, err)
	return e
}

// cut is the failure of a stream that ended before its terminal event.
func (s *Stream) cut(err error) *Error { return s.failure().cut(s.ctx, s.heard, err) }
