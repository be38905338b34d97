package openai

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/results"
)

// Ids of what we send: the id of the task behind a prefix.
const (
	completionPrefix = "chatcmpl-"
	responsePrefix   = "resp_"
	messagePrefix    = "msg_"
	reasoningPrefix  = "rs_"
)

// Reply is the reply to the request once its task has ended: a status of HTTP and a body.
func (e *Echo) Reply(r *results.Result) (status int, body json.RawMessage) {
	err := r.Err()
	if err != nil && finish(r) == "" {
		failure := errorFor(e.API, err)
		body, _ = messages.Encode(failure) // strings always encode
		return failure.Status, body
	}
	if e.API == ResponsesAPI {
		body, _ = messages.Encode(e.response(r))
	} else {
		body, _ = messages.Encode(e.completion(r))
	}
	return http.StatusOK, body
}

// Partial tells whether a task that failed with this code of Coze's left a part of an answer, which is an answer: likely after
// a length that was reached, possibly after a filter, which may have refused the question.
func Partial(code int) (likely, possible bool) {
	likely = slices.Contains(cutShort, code)
	return likely, likely || slices.Contains(filtered, code)
}

// finish is why an answer ended, "" for a task without one. An answer that was cut short is an answer.
func finish(r *results.Result) string {
	switch {
	case r.Err() == nil:
		return "stop"
	case r.Sealed != nil || r.Error == nil || r.Answer == "":
		return ""
	case slices.Contains(cutShort, r.Error.Code):
		return "length"
	case slices.Contains(filtered, r.Error.Code):
		return "content_filter"
	}
	return ""
}

func (e *Echo) completion(r *results.Result) Object {
	message := Object{"role": messages.Assistant, "content": r.Answer, "refusal": nil}
	if r.Reasoning != "" {
		message["reasoning_content"] = r.Reasoning
	}
	o := Object{
		"id": completionPrefix + r.ID, "object": "chat.completion", "created": created(r), "model": e.Model,
		"choices": []any{Object{"index": 0, "message": message, "logprobs": nil, "finish_reason": finish(r)}},
		"cozeq":   extension(r),
	}
	if r.Usage != nil {
		o["usage"] = completionUsage(r)
	}
	if e.Metadata != nil {
		o["metadata"] = e.Metadata
	}
	return o
}

func created(r *results.Result) int64 { return max(r.CreatedAt.Unix(), 0) }

// completionUsage is what Coze counted; zeros where it counted nothing, as clients read the numbers unasked.
func completionUsage(r *results.Result) Object {
	u := usageOf(r)
	return Object{"prompt_tokens": u.InputCount, "completion_tokens": u.OutputCount, "total_tokens": u.TokenCount}
}

func usageOf(r *results.Result) results.Usage {
	if r.Usage == nil {
		return results.Usage{}
	}
	return *r.Usage
}

// extension is what OpenAI has no field for.
func extension(r *results.Result) Object {
	o := Object{"task_id": r.ID, "bot_id": r.BotID}
	add := func(name, value string) {
		if value != "" {
			o[name] = value
		}
	}
	add("chat_id", r.ChatID)
	add("conversation_id", r.ConversationID)
	add("conversation_key", r.ConversationKey)
	add("content_type", r.ContentType)
	add("asks_back", r.AsksBack)
	if len(r.FollowUps) > 0 {
		o["follow_ups"] = r.FollowUps
	}
	if len(r.Parts) > 0 {
		o["parts"] = r.Parts
	}
	if len(r.Warnings) > 0 {
		o["warnings"] = r.Warnings
	}
	if r.PossibleDuplicate {
		o["possible_duplicate"] = true
	}
	return o
}
