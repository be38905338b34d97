package output

import (
	"bytes"
	"strconv"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/results"
)

// The record of a row in the format of OpenAI's batches is a line of their output, too: it has "response", and "error" is
// null if there is none. A program that reads OpenAI's output can read it.

type response struct {
	StatusCode int    `json:"status_code"`
	RequestID  string `json:"request_id"`
	Body       any    `json:"body"`
}

func appendResponse(r *input.Request, record []byte, res *results.Result) ([]byte, error) {
	raw, err := input.Marshal(respond(r, res))
	if err != nil {
		return nil, err
	}
	record = append(bytes.TrimSuffix(record, []byte("}")), `,"response":`...)
	record = append(record, raw...)
	if res.Error == nil {
		record = append(record, `,"error":null`...)
	}
	return append(record, '}'), nil
}

// respond makes the response; nil for a row that was canceled or expired.
func respond(r *input.Request, res *results.Result) *response {
	switch {
	case res.Status == results.Completed && r.API == input.ResponsesAPI:
		return &response{StatusCode: 200, RequestID: res.ID, Body: responseBody(r, res)}
	case res.Status == results.Completed:
		return &response{StatusCode: 200, RequestID: res.ID, Body: completionBody(r, res)}
	case res.Status == results.Failed && res.Error != nil:
		code, body := failureOf(res.Error)
		return &response{StatusCode: code, RequestID: res.ID, Body: fields{"error": body}}
	}
	return nil
}

type fields = map[string]any

func completionBody(r *input.Request, res *results.Result) any {
	body := fields{
		"id": "chatcmpl-" + res.ID, "object": "chat.completion", "created": res.CompletedAt.Unix(), "model": r.Model,
		"choices": []any{fields{
			"index": 0, "finish_reason": "stop", "logprobs": nil,
			"message": fields{"role": messages.Assistant, "content": res.Answer, "refusal": nil},
		}},
	}
	if u := res.Usage; u != nil {
		body["usage"] = fields{"prompt_tokens": u.InputCount, "completion_tokens": u.OutputCount, "total_tokens": u.TokenCount}
	}
	return body
}

func responseBody(r *input.Request, res *results.Result) any {
	body := fields{
		"id": "resp_" + res.ID, "object": "response", "created_at": res.CompletedAt.Unix(), "status": "completed", "model": r.Model,
		"output": []any{fields{
			"id": "msg_" + res.ID, "type": "message", "status": "completed", "role": messages.Assistant,
			"content": []any{fields{"type": "output_text", "text": res.Answer, "annotations": []any{}}},
		}},
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": fields{},
		"parallel_tool_calls": false, "tool_choice": "none", "tools": []any{}, "temperature": nil, "top_p": nil,
	}
	if u := res.Usage; u != nil {
		body["usage"] = fields{
			"input_tokens": u.InputCount, "input_tokens_details": fields{"cached_tokens": 0},
			"output_tokens": u.OutputCount, "output_tokens_details": fields{"reasoning_tokens": 0}, "total_tokens": u.TokenCount,
		}
	}
	return body
}

// failureOf is a failure as OpenAI's API has it: a status of HTTP, and the error in the body.
func failureOf(f *results.Failure) (status int, body any) {
	status, kind := 400, "invalid_request_error"
	switch f.Class {
	case "quota":
		status, kind = 429, "insufficient_quota"
	case "rate", "busy":
		status, kind = 429, "rate_limit_exceeded"
	case "auth":
		status, kind = 503, "server_error" // the caller's key is another one
	case "transient", "truncated", "endpoint":
		status, kind = 502, "server_error"
	case "timeout":
		status, kind = 504, "server_error"
	}
	code := f.Class
	if f.Code != 0 {
		code = "coze_" + strconv.Itoa(f.Code)
	}
	return status, fields{"message": f.Message, "type": kind, "param": nil, "code": code}
}
