package results

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/seal"
)

// Key returns the Redis key of a task's result hash.
func Key(id string) string { return rediskey.Result(id) }

// BodyKey returns the key of a task's messages, used where they are too long
// for the queue's payload.
func BodyKey(id string) string { return rediskey.Body(id) }

// DeltasKey returns the key of a task's stream of deltas.
func DeltasKey(id string) string { return rediskey.Deltas(id) }

// Channel returns the channel that carries the task's result when it ends.
func Channel(id string) string { return rediskey.Done + id }

// Fields returns names and values of the record as HSET takes them, without what is empty.
// It is the opposite of [Parse], but doesn't encrypt: see [Result.Seal].
func (r *Result) Fields() []any {
	f := make([]any, 0, 48)
	str := func(name, value string) {
		if value != "" {
			f = append(f, name, value)
		}
	}
	str("id", r.ID)
	str("custom_id", r.CustomID)
	str("batch_id", r.BatchID)
	str("tenant", r.Tenant)
	str("status", string(r.Status))
	str("answer", r.Answer)
	str("content_type", r.ContentType)
	if len(r.Parts) > 0 {
		str("parts", listText(r.Parts))
	}
	str("reasoning", r.Reasoning)
	list := func(name string, values []string) {
		switch {
		case isSealedList(values):
			str(name, values[0])
		case len(values) > 0:
			str(name, listText(values))
		}
	}
	list("follow_ups", r.FollowUps)
	str("asks_back", r.AsksBack)
	list("warnings", r.Warnings)
	if u := r.Usage; u != nil {
		f = append(f, "token_count", u.TokenCount, "output_count", u.OutputCount, "input_count", u.InputCount)
	}
	if u := r.Spent; u != (Usage{}) {
		str("spent", fmt.Sprintf("%d,%d,%d", u.TokenCount, u.OutputCount, u.InputCount))
	}
	if e := r.Error; e != nil {
		if e.Code != 0 {
			f = append(f, "error_code", e.Code)
		}
		str("error_class", e.Class)
		str("error_msg", e.Message)
		str("error_hint", e.Hint)
		str("logid", e.LogID)
	}
	str("bot_id", r.BotID)
	str("user_id", r.UserID)
	str("conversation_id", r.ConversationID)
	str("conversation_key", r.ConversationKey)
	str("chat_id", r.ChatID)
	str("workflow_id", r.WorkflowID)
	str("execute_id", r.ExecuteID)
	str("debug_url", r.DebugURL)
	if r.Interrupt != nil {
		if text, err := json.Marshal(r.Interrupt); err == nil {
			str("interrupt", string(text))
		}
	}
	str("queue", r.Queue)
	str("lane", r.Lane)
	str("digest", r.Digest)
	str("traceparent", r.TraceParent)
	if r.Attempts > 0 {
		f = append(f, "attempts", r.Attempts)
	}
	if r.PossibleDuplicate {
		f = append(f, "possible_duplicate", "true")
	}
	list("other_chat_ids", r.OtherChatIDs)
	at := func(name string, t Time) {
		if !t.IsZero() {
			f = append(f, name, t.String())
		}
	}
	at("created_at", r.CreatedAt)
	at("started_at", r.StartedAt)
	at("completed_at", r.CompletedAt)
	return f
}

// parseList reads a list as Fields writes it. An encrypted one has one element.
func parseList(value string) (values []string) {
	switch {
	case seal.Is(value):
		return []string{value}
	case value != "":
		_ = json.Unmarshal([]byte(value), &values)
	}
	return values
}

// Parse reads the record of the task with this id as HGETALL gives it, and decrypts it with
// keys, which may be nil. Fields that it doesn't know, or can't read, are left out. What
// it can't decrypt is named in Sealed.
func Parse(id string, hash map[string]string, keys *Keys) *Result {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(hash[name], 10, 64)
		return n
	}
	r := &Result{
		ID:                hash["id"],
		CustomID:          hash["custom_id"],
		BatchID:           hash["batch_id"],
		Tenant:            hash["tenant"],
		Status:            Status(hash["status"]),
		Answer:            hash["answer"],
		ContentType:       hash["content_type"],
		Reasoning:         hash["reasoning"],
		FollowUps:         parseList(hash["follow_ups"]),
		AsksBack:          hash["asks_back"],
		Warnings:          parseList(hash["warnings"]),
		BotID:             hash["bot_id"],
		UserID:            hash["user_id"],
		ConversationID:    hash["conversation_id"],
		ConversationKey:   hash["conversation_key"],
		ChatID:            hash["chat_id"],
		WorkflowID:        hash["workflow_id"],
		ExecuteID:         hash["execute_id"],
		DebugURL:          hash["debug_url"],
		Queue:             hash["queue"],
		Lane:              hash["lane"],
		Digest:            hash["digest"],
		TraceParent:       hash["traceparent"],
		Attempts:          int(number("attempts")),
		PossibleDuplicate: hash["possible_duplicate"] == "true",
		OtherChatIDs:      parseList(hash["other_chat_ids"]),
		CreatedAt:         parseTime(hash["created_at"]),
		StartedAt:         parseTime(hash["started_at"]),
		CompletedAt:       parseTime(hash["completed_at"]),
	}
	if parts := hash["parts"]; parts != "" {
		_ = json.Unmarshal([]byte(parts), &r.Parts)
	}
	if interrupt := hash["interrupt"]; interrupt != "" {
		_ = json.Unmarshal([]byte(interrupt), &r.Interrupt)
	}
	if spent := hash["spent"]; spent != "" {
		_, _ = fmt.Sscanf(spent, "%d,%d,%d", &r.Spent.TokenCount, &r.Spent.OutputCount, &r.Spent.InputCount)
	}
	if hash["token_count"]+hash["output_count"]+hash["input_count"] != "" {
		r.Usage = &Usage{
			TokenCount:  number("token_count"),
			OutputCount: number("output_count"),
			InputCount:  number("input_count"),
		}
	}
	if class := hash["error_class"]; class != "" {
		r.Error = &Failure{
			Code:    int(number("error_code")),
			Class:   class,
			Message: hash["error_msg"],
			Hint:    hash["error_hint"],
			LogID:   hash["logid"],
		}
	}
	r.open(keys, id)
	return r
}
