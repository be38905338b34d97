package lane

import (
	"encoding/json"

	"github.com/hibiken/asynq"
)

// TypeChat is the asynq type of the tasks that have lanes.
const TypeChat = "coze:chat"

// Block is the on_turn_failure with which a turn that failed holds its conversation up.
const Block = "block"

// Of names the lane of a conversation: of the caller's own name for it, which is one of a
// bot's, or else of Coze's id; "" where there is neither.
func Of(botID, conversationKey, conversationID string) string {
	switch {
	case conversationKey != "":
		return "key:" + botID + ":" + conversationKey
	case conversationID != "":
		return "id:" + conversationID
	}
	return ""
}

// payload is what of a task's payload concerns its lane.
type payload struct {
	V               int    `json:"v"`
	BotID           string `json:"bot_id"`
	ConversationKey string `json:"conversation_key"`
	ConversationID  string `json:"conversation_id"`
	OnTurnFailure   string `json:"on_turn_failure"`
	LaneSeq         int64  `json:"lane_seq"`
}

func (p *payload) lane() string { return Of(p.BotID, p.ConversationKey, p.ConversationID) }

// turnOf reads the payload of a task; ok is false for one that is no chat task's.
func turnOf(info *asynq.TaskInfo) (p payload, ok bool) {
	return p, info.Type == TypeChat && json.Unmarshal(info.Payload, &p) == nil && p.V == 1
}
