package lane

import (
	"cmp"
	"encoding/json"

	"github.com/hibiken/asynq"
)

// TypeChat is the asynq type of the tasks that have lanes.
const TypeChat = "coze:chat"

// Block is the on_turn_failure of a turn that, if it fails, keeps the turns behind it waiting.
const Block = "block"

// Of names the lane of a conversation: by the caller's own name for it, which belongs to one bot, or else by Coze's id.
// It is "" if there is neither.
func Of(holder, conversationKey, conversationID string) string {
	switch {
	case conversationKey != "":
		return "key:" + holder + ":" + conversationKey
	case conversationID != "":
		return "id:" + conversationID
	}
	return ""
}

// payload has the fields of a task's payload that its lane needs.
type payload struct {
	V               int    `json:"v"`
	BotID           string `json:"bot_id"`
	AppID           string `json:"app_id"`
	ConversationKey string `json:"conversation_key"`
	ConversationID  string `json:"conversation_id"`
	OnTurnFailure   string `json:"on_turn_failure"`
	LaneSeq         int64  `json:"lane_seq"`
}

func (p *payload) lane() string {
	return Of(cmp.Or(p.BotID, p.AppID), p.ConversationKey, p.ConversationID)
}

// turnOf reads a task's payload. ok is false if it is not one of a chat task.
func turnOf(info *asynq.TaskInfo) (p payload, ok bool) {
	return p, info.Type == TypeChat && json.Unmarshal(info.Payload, &p) == nil && p.V == 1
}
