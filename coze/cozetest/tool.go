package cozetest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type toolCall struct{ id, name string }

type toolOutput struct{ name, output string }

// wait makes a chat end in requires_action, if its fault names tools and it has rounds left.
func (c *chat) wait() {
	c.calls = nil
	names := c.fault.Tool
	if c.fault.Kind == Action {
		names = cmp.Or(names, "get_weather")
	}
	if names == "" || c.round >= max(c.fault.Rounds, 1) {
		return
	}
	c.round++
	for i, name := range strings.Split(names, ",") {
		id := "call_" + c.id + "_" + strconv.Itoa(c.round) + "_" + strconv.Itoa(i+1)
		c.calls = append(c.calls, toolCall{id, name})
	}
}

// waits tells whether the chat ends in requires_action.
func (c *chat) waits() bool { return len(c.calls) > 0 || c.fault.Kind == AskBack }

func (c *chat) appendAction(dst []byte) []byte {
	dst = append(dst, `,"required_action":{"type":"submit_tool_outputs","submit_tool_outputs":{"tool_calls":[`...)
	if len(c.calls) == 0 {
		dst = append(dst, `{"id":"","type":"reply_message","function":null,"require_info":{"require_fields":["reply_content"],"name":"question"}}`...)
	}
	for i, call := range c.calls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"id":`...), call.id)
		dst = appendString(append(dst, `,"type":"function","function":{"name":`...), call.name)
		dst = appendString(append(dst, `,"arguments":`...), cmp.Or(c.fault.Arguments, `{"location":"here"}`))
		dst = append(dst, `}}`...)
	}
	return append(dst, `]}}`...)
}

// outputsBody is the body of a submission. An output is a string, also if it holds JSON.
type outputsBody struct {
	Outputs []struct {
		ID     string `json:"tool_call_id"`
		Output string `json:"output"`
	} `json:"tool_outputs"`
	Stream bool `json:"stream"`
}

// outputs are those of the body, in the order of the chat's calls: all of them, each once.
func (c *chat) outputs(body *outputsBody) ([]toolOutput, *refusal) {
	if len(body.Outputs) != len(c.calls) {
		return nil, refuse(codeParameter, "tool_outputs must have one output for each tool call")
	}
	all := make([]toolOutput, len(c.calls))
	for _, o := range body.Outputs {
		i := slices.IndexFunc(c.calls, func(call toolCall) bool { return call.id == o.ID })
		if i < 0 || all[i].name != "" {
			return nil, refuse(codeParameter, "tool_outputs names no tool call of this chat, or one twice: "+o.ID)
		}
		all[i] = toolOutput{c.calls[i].name, o.Output}
	}
	return all, nil
}

// submitOutputs takes the outputs of tools, and the chat goes on. Coze does not document the code for a chat that does not
// wait for them: here it is 4000.
func (x *exchange) submitOutputs() {
	q := x.r.URL.Query()
	var body outputsBody
	if !x.read(&body, nil) {
		return
	}
	x.entry.Stream, x.entry.ConversationID, x.entry.ChatID = body.Stream, q.Get("conversation_id"), q.Get("chat_id")
	c, ft, r := x.goOn(&body)
	switch {
	case r != nil:
		x.refuse(r.at(http.StatusBadRequest))
	case c == nil:
		x.refused(ft, body.Stream)
	default:
		x.play(c, body.Stream)
	}
}

// goOn gives a chat the outputs that it waits for. The chat that goes on is a new one in its place, with the same ids: a
// stream of the old one may still be playing. Without a chat a fault or a refusal says why.
func (x *exchange) goOn(body *outputsBody) (*chat, *Fault, *refusal) {
	f := x.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	conv, c := f.chat(x.entry.ConversationID, x.entry.ChatID)
	if conv == nil {
		return nil, nil, refuse(codeConversation, "")
	}
	if c == nil {
		return nil, nil, refuse(codeChat, "")
	}
	x.entry.BotID, x.entry.Question = c.botID, c.question
	plain, directives, _ := f.directives(c.question) // they were read when it was asked
	ft := x.pick(onSubmit, c.question, directives)
	switch {
	case ft.refuses():
		return nil, ft, nil
	case !c.saved:
		return nil, nil, refuse(codeInternal, "auto_save_history must be true")
	case c.status != statusAction || len(c.calls) == 0:
		return nil, nil, refuse(codeParameter, "the chat does not wait for tool outputs: it is "+c.status)
	}
	outputs, r := c.outputs(body)
	if r != nil {
		return nil, nil, r
	}
	next := *c
	next.fault = ft.shapedLike(c.fault)
	next.said, next.answers = append(slices.Clone(c.said), c.answers...), nil
	next.given = append(slices.Clone(c.given), outputs...)
	next.usage = usage{}
	for _, o := range outputs {
		next.usage.input += tokens(o.output)
	}
	next.status, next.endedAt, next.detached, next.timer = statusInProgress, 0, false, nil
	if f.cfg.CancelEnds {
		next.canceled = make(chan struct{})
	}
	next.start = time.Now()
	next.wait()
	f.say(&next, plain, nil)
	next.takes = next.length()
	conv.chats[slices.Index(conv.chats, c)] = &next
	conv.active = &next
	f.journal.running++
	f.journal.most = max(f.journal.most, f.journal.running)
	return &next, next.fault, nil
}

// shapedLike is the fault of a submission, with the shape of the answer that the question's own fault has unless it says so
// itself.
func (f *Fault) shapedLike(first *Fault) *Fault {
	own := *f
	own.Tool, own.Arguments, own.Rounds, own.Says = first.Tool, first.Arguments, first.Rounds, first.Says
	own.Answer, own.Type, own.Answers = cmp.Or(own.Answer, first.Answer), cmp.Or(own.Type, first.Type), cmp.Or(own.Answers, first.Answers)
	own.Size, own.Empty = cmp.Or(own.Size, first.Size), own.Empty || first.Empty
	if first.Kind == Action {
		own.Tool = cmp.Or(own.Tool, "get_weather")
	}
	return &own
}
