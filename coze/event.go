package coze

// EventType is the name of a stream's event, as Coze writes it.
type EventType string

// The events of a chat's stream. Spellings used by self-hosted servers are read as these.
const (
	EventChatCreated        EventType = "conversation.chat.created"
	EventChatInProgress     EventType = "conversation.chat.in_progress"
	EventChatCompleted      EventType = "conversation.chat.completed"
	EventChatFailed         EventType = "conversation.chat.failed"
	EventChatRequiresAction EventType = "conversation.chat.requires_action"
	EventChatCanceled       EventType = "conversation.chat.canceled"
	EventMessageDelta       EventType = "conversation.message.delta"
	EventMessageCompleted   EventType = "conversation.message.completed"
	EventAudioDelta         EventType = "conversation.audio.delta"
	EventError              EventType = "error"
	EventDone               EventType = "done"
)

// Event is one thing that a stream told: of its chat (Chat is set) or of a message (Message is set), never both.
type Event struct {
	Type    EventType
	Chat    *Chat
	Message *Message
}

// Terminal reports whether a chat is over, for this client, after an event of this type.
func (t EventType) Terminal() bool {
	switch t {
	case EventChatCompleted, EventChatFailed, EventChatRequiresAction, EventChatCanceled:
		return true
	}
	return false
}

// status is what an event of this type says of its chat, "" if nothing.
func (t EventType) status() Status {
	switch t {
	case EventChatCreated:
		return StatusCreated
	case EventChatInProgress:
		return StatusInProgress
	case EventChatCompleted:
		return StatusCompleted
	case EventChatFailed:
		return StatusFailed
	case EventChatRequiresAction:
		return StatusRequiresAction
	case EventChatCanceled:
		return StatusCanceled
	}
	return ""
}

// maxEventName bounds what is kept of an unknown event's name; Coze's longest is 33 bytes.
const maxEventName = 64

// eventType reads an event's name. The known ones cost no allocation.
func eventType(name []byte) EventType {
	switch string(name) {
	case string(EventMessageDelta):
		return EventMessageDelta
	case string(EventMessageCompleted):
		return EventMessageCompleted
	case string(EventChatCreated):
		return EventChatCreated
	case string(EventChatInProgress):
		return EventChatInProgress
	case string(EventChatCompleted):
		return EventChatCompleted
	case string(EventChatFailed), "conversation.chat.expired":
		return EventChatFailed
	case string(EventChatRequiresAction), "conversation.chat.required_action":
		return EventChatRequiresAction
	case string(EventChatCanceled), "conversation.chat.cancelled":
		return EventChatCanceled
	case string(EventAudioDelta):
		return EventAudioDelta
	case string(EventError):
		return EventError
	case string(EventDone), "conversation.stream.done":
		return EventDone
	}
	return EventType(name[:min(len(name), maxEventName)])
}
