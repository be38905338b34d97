package coze

import (
	"strings"
)

// Status is the state of a chat.
type Status string

// The statuses of a chat. Misspellings and aliases that Coze sends are read as these.
const (
	StatusCreated        Status = "created"
	StatusInProgress     Status = "in_progress"
	StatusCompleted      Status = "completed"
	StatusFailed         Status = "failed"
	StatusRequiresAction Status = "requires_action"
	StatusCanceled       Status = "canceled"
)

// Terminal reports whether a chat will not change by itself any more. Requires_action is: only
// [Client.SubmitToolOutputs] or the user's reply changes that. An unknown status is not terminal.
func (s Status) Terminal() bool {
	switch s {
	case StatusCompleted, StatusFailed, StatusRequiresAction, StatusCanceled:
		return true
	}
	return false
}

// statusOf reads a status in any of Coze's spellings.
func statusOf(s string) Status {
	switch s {
	case "compleated":
		return StatusCompleted
	case "required_action":
		return StatusRequiresAction
	case "cancelled":
		return StatusCanceled
	case "expired", "deleted": // self-hosted servers only
		return StatusFailed
	}
	return Status(s)
}

// Chat is one question to a bot and its outcome. Times are Unix seconds, 0 = unknown.
type Chat struct {
	ID             string            `json:"id"`
	ConversationID string            `json:"conversation_id"` // from Coze; may differ from the one in the request
	BotID          string            `json:"bot_id,omitempty"`
	Status         Status            `json:"status,omitempty"`
	CreatedAt      int64             `json:"created_at,omitempty"`
	CompletedAt    int64             `json:"completed_at,omitempty"`
	FailedAt       int64             `json:"failed_at,omitempty"`
	MetaData       map[string]string `json:"meta_data,omitempty"`
	LastError      *LastError        `json:"last_error,omitempty"`      // nil if its code and text are empty
	RequiredAction *RequiredAction   `json:"required_action,omitempty"` // nil if it asks for nothing
	Usage          *Usage            `json:"usage,omitempty"`           // nil if all are zero
	SectionID      string            `json:"section_id,omitempty"`
	ExecuteID      string            `json:"execute_id,omitempty"`
	DebugURL       string            `json:"-"` // of a chatflow's stream: a page at Coze that shows its run, for 7 days

	// Messages are set by Accumulate, or by the caller from ListChatMessages: in order of arrival, one for each id.
	Messages []Message `json:"-"`

	codes *CodeTable // of the client that read the chat; nil = the built-in table
	logID string
}

// LastError is why a chat failed.
type LastError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
}

// Usage is what a chat cost, in tokens.
type Usage struct {
	TokenCount  int64 `json:"token_count"`
	OutputCount int64 `json:"output_count"`
	InputCount  int64 `json:"input_count"`
}

// RequiredAction is what a bot waits for its caller to do.
type RequiredAction struct {
	Type              string            `json:"type"`
	SubmitToolOutputs SubmitToolOutputs `json:"submit_tool_outputs"`
}

// SubmitToolOutputs lists the tools to run.
type SubmitToolOutputs struct {
	ToolCalls []ToolCall `json:"tool_calls"`
}

// ToolCall is one tool to run.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // "function", also if it is empty, or "reply_message"
	Function ToolFunction `json:"function"`
}

// ToolFunction is a tool's name and its arguments, JSON in a string. They come from a model: they may be no JSON.
type ToolFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// UnmarshalJSON reads a chat in any of the forms that Coze sends. A flat {"code","msg"}, which chat.failed may carry, becomes
// LastError.
func (c *Chat) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got Chat
	var flat LastError
	for o.next() {
		switch string(o.name) {
		case "id":
			got.ID = idOf(o.value)
		case "conversation_id":
			got.ConversationID = idOf(o.value)
		case "bot_id":
			got.BotID = idOf(o.value)
		case "status":
			got.Status = statusOf(textOf(o.value))
		case "created_at":
			got.CreatedAt = integerOf(o.value)
		case "completed_at", "compleated_at":
			got.CompletedAt = max(got.CompletedAt, integerOf(o.value))
		case "failed_at":
			got.FailedAt = integerOf(o.value)
		case "meta_data":
			got.MetaData = textsOf(o.value)
		case "last_error":
			got.LastError = lastErrorOf(o.value)
		case "required_action":
			got.RequiredAction = requiredActionOf(o.value)
		case "usage":
			got.Usage = usageOf(o.value)
		case "section_id":
			got.SectionID = idOf(o.value)
		case "execute_id":
			got.ExecuteID = idOf(o.value)
		case "code":
			flat.Code = int(integerOf(o.value))
		case "msg":
			flat.Message = textOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	if got.LastError == nil && flat != (LastError{}) {
		got.LastError = &flat
	}
	*c = got
	return nil
}

// Accumulate folds a stream's events, in order, into the chat that [Client.RetrieveChat] and [Client.ListChatMessages]
// would give. Messages gets the completed answers, the follow-ups and the message that ends the answers, but no knowledge,
// tool calls or deltas. Self-hosted servers may complete a chat without a completed answer: then Messages has none, and
// ListChatMessages has it.
//
// The first event that names ids sets them, until chat.created names others: the events before were of another chat.
func (c *Chat) Accumulate(e Event) {
	if e.Chat != nil {
		if e.Type == EventChatCreated && c.ID != "" && e.Chat.ID != "" && e.Chat.ID != c.ID {
			*c = Chat{}
		}
		c.fold(e.Chat)
	}
	if e.Message == nil {
		return
	}
	keepString(&c.ID, e.Message.ChatID)
	keepString(&c.ConversationID, e.Message.ConversationID)
	if e.Type == EventMessageCompleted {
		c.keep(*e.Message)
	}
}

// fold merges a later event's chat; fields that it leaves out keep their value.
func (c *Chat) fold(next *Chat) {
	merged := *next
	merged.Messages = c.Messages
	keepString(&merged.ID, c.ID)
	keepString(&merged.ConversationID, c.ConversationID)
	keepString(&merged.BotID, c.BotID)
	keepString((*string)(&merged.Status), string(c.Status))
	keepString(&merged.SectionID, c.SectionID)
	keepString(&merged.ExecuteID, c.ExecuteID)
	keepString(&merged.DebugURL, c.DebugURL)
	keepString(&merged.logID, c.logID)
	merged.CreatedAt = max(merged.CreatedAt, c.CreatedAt)
	merged.CompletedAt = max(merged.CompletedAt, c.CompletedAt)
	merged.FailedAt = max(merged.FailedAt, c.FailedAt)
	if merged.MetaData == nil {
		merged.MetaData = c.MetaData
	}
	if merged.Usage == nil {
		merged.Usage = c.Usage
	}
	if merged.codes == nil {
		merged.codes = c.codes
	}
	*c = merged
}

func keepString(field *string, old string) {
	if *field == "" {
		*field = old
	}
}

// keep adds a completed message, or replaces the one with the same id: self-hosted servers send it again with its usage.
func (c *Chat) keep(m Message) {
	if !m.isAnswer() && m.Type != MessageFollowUp {
		if _, ok := m.finish(); !ok {
			return
		}
	}
	for i := range c.Messages {
		if m.ID != "" && c.Messages[i].ID == m.ID {
			keepString(&m.Content, c.Messages[i].Content)
			keepString(&m.ReasoningContent, c.Messages[i].ReasoningContent)
			c.Messages[i] = m
			return
		}
	}
	if c.Messages == nil {
		c.Messages = make([]Message, 0, 5) // an answer, three follow-ups, and the end
	}
	c.Messages = append(c.Messages, m)
}

// Answers are the bot's answers of any content type, in order of arrival: a card counts, empty text does not. HasAnswer,
// Answer and AnswerType are about these.
func (c *Chat) Answers() []Message {
	var all []Message
	for i := range c.Messages {
		if m := &c.Messages[i]; m.isAnswer() && m.Content != "" {
			all = append(all, *m)
			all[len(all)-1].Content = valid(m.Content)
		}
	}
	return all
}

// HasAnswer reports whether there are Answers.
func (c *Chat) HasAnswer() bool {
	for i := range c.Messages {
		if m := &c.Messages[i]; m.isAnswer() && m.Content != "" {
			return true
		}
	}
	return false
}

// Answer is the bot's text: its text answers, in order of arrival, joined by a line feed. Without any it is the content of
// the other answers, such as a card's JSON: see AnswerType. It is valid UTF-8.
func (c *Chat) Answer() string {
	text := c.AnswerType() == ContentText
	return c.join(func(m *Message) string {
		if m.isAnswer() && (m.isText() || !text) {
			return m.Content
		}
		return ""
	})
}

// AnswerType is the type of Answer: text, or the content type of the first answer if none is text.
func (c *Chat) AnswerType() ContentType {
	kind := ContentText
	for i := range c.Messages {
		switch m := &c.Messages[i]; {
		case !m.isAnswer() || m.Content == "":
		case m.isText():
			return ContentText
		case kind == ContentText:
			kind = m.ContentType
		}
	}
	return kind
}

// Reasoning is the model's reasoning, joined like Answer. Only a stream has it. It is valid UTF-8.
func (c *Chat) Reasoning() string {
	return c.join(func(m *Message) string {
		if m.isAnswer() {
			return m.ReasoningContent
		}
		return ""
	})
}

// FollowUps are the questions that the bot suggests, in order of arrival.
func (c *Chat) FollowUps() []string {
	var all []string
	for i := range c.Messages {
		if c.Messages[i].Type == MessageFollowUp {
			all = append(all, valid(c.Messages[i].Content))
		}
	}
	return all
}

// Interrupted reports whether a plugin or a workflow node cut the answer short (finish_reason 1).
func (c *Chat) Interrupted() bool {
	for i := range c.Messages {
		if reason, ok := c.Messages[i].finish(); ok && reason == 1 {
			return true
		}
	}
	return false
}

// join joins the non-empty results of pick. A single one is not copied.
func (c *Chat) join(pick func(*Message) string) string {
	var parts []string
	for i := range c.Messages {
		if part := pick(&c.Messages[i]); part != "" {
			parts = append(parts, part)
		}
	}
	return valid(strings.Join(parts, "\n"))
}

// Err is nil unless the chat failed, was canceled, or waits: for tools, which the caller may run, or for the user's
// reply (ErrAsksBack; the error quotes the bot's question). It is an Error of ZoneCreated with Ended set; its class comes
// from the table of the client that read the chat.
func (c *Chat) Err() *Error {
	e := &Error{
		Op: "chat", LogID: c.logID, Zone: ZoneCreated, Ended: true, ConversationID: c.ConversationID, ChatID: c.ID,
	}
	switch {
	case c.Status == StatusFailed:
		e.Message = "the chat failed and Coze gave no reason"
		if c.LastError != nil {
			e.Code = c.LastError.Code
			if c.LastError.Message != "" {
				e.Message = bounded(c.LastError.Message, maxMessage)
			}
		}
		e.judge(c.codes)
	case c.Status == StatusCanceled:
		e.Class, e.Message = ClassCanceled, "the chat was canceled"
	case c.Status == StatusRequiresAction && c.RequiredAction != nil && c.RequiredAction.asksBack():
		e.Class, e.Err, e.hint = ClassAction, ErrAsksBack, hintReply.EN
		e.Message = "the bot asks back and waits for a reply"
		if question := c.Answer(); question != "" {
			e.Message = bounded("the bot asks back: "+question, maxMessage)
		}
	case c.Status == StatusRequiresAction && c.RequiredAction != nil:
		e.Class, e.Message = ClassAction, "the bot waits for the outputs of tools that nobody runs here: "+c.RequiredAction.names()
	default:
		return nil
	}
	return e
}

// AsksBack is the question of a bot that waits for the user's reply in the same conversation: its last answer. "": it does not
// wait for that, or did not say what it asks.
func (c *Chat) AsksBack() string {
	if answers := c.Answers(); len(answers) > 0 && c.Status == StatusRequiresAction && c.RequiredAction != nil && c.RequiredAction.asksBack() {
		return answers[len(answers)-1].Content
	}
	return ""
}

// asksBack reports whether only a reply of the user is wanted, as by the question node of a chatflow.
func (r *RequiredAction) asksBack() bool {
	for _, call := range r.SubmitToolOutputs.ToolCalls {
		if call.Type != replyMessage {
			return false
		}
	}
	return true
}

// names lists the tools for the error message.
func (r *RequiredAction) names() string {
	var names []string
	for _, call := range r.SubmitToolOutputs.ToolCalls {
		name := call.Function.Name
		if name == "" {
			name = call.Type
		}
		names = append(names, name)
	}
	return bounded(strings.Join(names, ", "), 200)
}
