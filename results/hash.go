package results

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Key returns the Redis key of a task's result hash.
func Key(id string) string { return "cozeq:result:{" + id + "}" }

// BodyKey returns the key of a task's messages, used where they are too long
// for the queue's payload.
func BodyKey(id string) string { return "cozeq:body:{" + id + "}" }

// DeltasKey returns the key of a task's stream of deltas.
func DeltasKey(id string) string { return "cozeq:deltas:{" + id + "}" }

// Channel returns the channel that carries the task's result when it ends.
func Channel(id string) string { return channelPrefix + id }

const (
	channelPrefix = "cozeq:done:"
	cancelChannel = "cozeq:cancel"
)

// fields lists r as HSET takes it, leaving out what is empty: a hash has a
// field only where there is something to say.
func (r *Result) fields() []any {
	f := make([]any, 0, 48)
	str := func(name, value string) {
		if value != "" {
			f = append(f, name, value)
		}
	}
	str("id", r.ID)
	str("custom_id", r.CustomID)
	str("batch_id", r.BatchID)
	str("status", string(r.Status))
	str("answer", r.Answer)
	str("content_type", r.ContentType)
	if len(r.Parts) > 0 {
		str("parts", listText(r.Parts))
	}
	str("reasoning", r.Reasoning)
	list := func(name string, values []string) {
		switch {
		case len(values) == 1 && IsSealed(values[0]):
			str(name, values[0])
		case len(values) > 0:
			str(name, listText(values))
		}
	}
	list("follow_ups", r.FollowUps)
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
	str("queue", r.Queue)
	str("lane", r.Lane)
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

// parseList reads what fields has made of a list. An encrypted one has one element; of
// what is neither, nothing is read.
func parseList(value string) (values []string) {
	if IsSealed(value) {
		return []string{value}
	}
	_ = json.Unmarshal([]byte(value), &values)
	return values
}

// record is a whole hash: the result and what only the line itself needs.
type record struct {
	Result
	owner             string // token of the Attempt that may write
	askedAt           Time   // set just before a question is sent, cleared when the ask has ended
	cancel            bool   // somebody asked for an end
	made              bool   // see Attempt
	endedChat         string // see Attempt
	endedConversation string // see Attempt
	removedChat       string // see Attempt
	logID             string // of the failure, or of the ask that is under way
	kept              bool   // see Entry
	keep              int64  // seconds to keep the result once it has ended; 0 = the store's default

	waits        int // see Attempt
	waitingSince Time
}

// parse reads the flat list of names and values that HGETALL gives.
func parse(flat []any) record {
	var r record
	var usage Usage
	var failure Failure
	var hasUsage bool
	for i := 0; i+1 < len(flat); i += 2 {
		name, _ := flat[i].(string)
		value, _ := flat[i+1].(string)
		number := func() int64 {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
		switch name {
		case "id":
			r.ID = value
		case "custom_id":
			r.CustomID = value
		case "batch_id":
			r.BatchID = value
		case "status":
			r.Status = Status(value)
		case "answer":
			r.Answer = value
		case "content_type":
			r.ContentType = value
		case "parts":
			_ = json.Unmarshal([]byte(value), &r.Parts) // of what is no list nothing is read
		case "reasoning":
			r.Reasoning = value
		case "follow_ups":
			r.FollowUps = parseList(value)
		case "warnings":
			r.Warnings = parseList(value)
		case "token_count":
			usage.TokenCount, hasUsage = number(), true
		case "output_count":
			usage.OutputCount, hasUsage = number(), true
		case "input_count":
			usage.InputCount, hasUsage = number(), true
		case "spent":
			u := &r.Spent
			_, _ = fmt.Sscanf(value, "%d,%d,%d", &u.TokenCount, &u.OutputCount, &u.InputCount)
		case "error_code":
			failure.Code = int(number())
		case "error_class":
			failure.Class = value
		case "error_msg":
			failure.Message = value
		case "error_hint":
			failure.Hint = value
		case "logid":
			failure.LogID, r.logID = value, value
		case "bot_id":
			r.BotID = value
		case "user_id":
			r.UserID = value
		case "conversation_id":
			r.ConversationID = value
		case "conversation_key":
			r.ConversationKey = value
		case "chat_id":
			r.ChatID = value
		case "queue":
			r.Queue = value
		case "lane":
			r.Lane = value
		case "traceparent":
			r.TraceParent = value
		case "attempts":
			r.Attempts = int(number())
		case "possible_duplicate":
			r.PossibleDuplicate = value == "true"
		case "other_chat_ids":
			r.OtherChatIDs = parseList(value)
		case "created_at":
			r.CreatedAt = parseTime(value)
		case "started_at":
			r.StartedAt = parseTime(value)
		case "completed_at":
			r.CompletedAt = parseTime(value)
		case "owner":
			r.owner = value
		case "asked_at":
			r.askedAt = parseTime(value)
		case "ended_chat":
			r.endedChat = value
		case "ended_conversation":
			r.endedConversation = value
		case "removed_chat":
			r.removedChat = value
		case "cancel":
			r.cancel = value != ""
		case "made":
			r.made = value != ""
		case "kept":
			r.kept = value != ""
		case "keep":
			r.keep = number()
		case "waits":
			r.waits = int(number())
		case "waiting_since":
			r.waitingSince = parseTime(value)
		}
	}
	if hasUsage {
		r.Usage = &usage
	}
	if failure.Class != "" {
		r.Error = &failure
	}
	return r
}
