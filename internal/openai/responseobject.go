package openai

import (
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/results"
)

// response is the object of a response, whatever its task's state. It has every key that the SDKs do not take for optional.
func (e *Echo) response(r *results.Result) Object {
	o := Object{
		"id": responsePrefix + r.ID, "object": "response", "created_at": created(r), "status": status(r), "model": e.Model,
		"output": e.output(r), "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": e.metadata(),
		"parallel_tool_calls": false, "tool_choice": "none", "tools": []any{}, "temperature": nil, "top_p": nil,
		"background": e.Background, "store": e.kept(), "previous_response_id": OrNull(e.Previous),
		"text": Object{"format": Object{"type": "text"}}, "truncation": "disabled", "usage": nil, "user": OrNull(r.UserID),
		"cozeq": extension(r),
	}
	if e.Conversation != "" {
		o["conversation"] = Object{"id": e.Conversation}
	}
	if !r.CompletedAt.IsZero() && r.Status == results.Completed {
		o["completed_at"] = r.CompletedAt.Unix()
	}
	if r.Usage != nil {
		o["usage"] = responseUsage(r.Usage)
	}
	switch o["status"] {
	case "failed":
		o["error"] = responseError(r)
	case "incomplete":
		reason := finish(r)
		if reason == "length" {
			reason = "max_output_tokens"
		}
		o["incomplete_details"] = Object{"reason": reason}
	}
	return o
}

func (e *Echo) metadata() any {
	if e.Metadata == nil {
		return Object{}
	}
	return e.Metadata
}

// status is the state of a task in the words of responses.
func status(r *results.Result) string {
	switch r.Status {
	case results.Completed:
		return "completed"
	case results.Canceled:
		return "cancelled"
	case results.Failed, results.Expired:
		if finish(r) != "" {
			return "incomplete"
		}
		return "failed"
	case results.Running:
		return "in_progress"
	}
	if !r.StartedAt.IsZero() { // it waits between two attempts
		return "in_progress"
	}
	return "queued"
}

// output are the items of an answer: the bot's reasoning, and the message.
func (e *Echo) output(r *results.Result) []any {
	items := []any{}
	if r.Reasoning != "" {
		items = append(items, reasoningItem(r.ID, "completed", reasoningPart(r.Reasoning)))
	}
	if r.Answer != "" || r.Status == results.Completed {
		state := "completed"
		if r.Status != results.Completed {
			state = "incomplete"
		}
		items = append(items, messageItem(r.ID, state, textPart(r.Answer)))
	}
	return items
}

func messageItem(id, state string, content ...any) Object {
	if content == nil {
		content = []any{}
	}
	return Object{"id": messagePrefix + id, "type": "message", "status": state, "role": messages.Assistant, "content": content}
}

func textPart(text string) Object {
	return Object{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func reasoningItem(id, state string, content ...any) Object {
	if content == nil {
		content = []any{}
	}
	return Object{"id": reasoningPrefix + id, "type": "reasoning", "status": state, "summary": []any{}, "content": content}
}

func reasoningPart(text string) Object { return Object{"type": "reasoning_text", "text": text} }

func responseUsage(u *results.Usage) Object {
	return Object{
		"input_tokens": u.InputCount, "input_tokens_details": Object{"cached_tokens": 0},
		"output_tokens": u.OutputCount, "output_tokens_details": Object{"reasoning_tokens": 0}, "total_tokens": u.TokenCount,
	}
}

// responseError is why a response failed, with one of the few codes that OpenAI's schema has. The code of its HTTP errors,
// which says more, is in the message's object beside it.
func responseError(r *results.Result) Object {
	e := errorOf(r.Err())
	code := "server_error"
	switch {
	case e.Type == typeRate || e.Type == typeQuota:
		code = "rate_limit_exceeded"
	case e.Type == typeRequest:
		code = "invalid_prompt"
	}
	o := Object{"code": code, "message": e.Message}
	if e.Failure != nil {
		o["cozeq"] = e.Failure
	}
	return o
}
