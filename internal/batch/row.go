package batch

import (
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// Row is one question of an input.
type Row struct {
	N        int    // from 1
	Line     int    // on which the row begins, from 1
	CustomID string // the row's own, or N; never empty
	Chat     *tasks.Chat

	Columns []string // csv and tsv: the row as it was read
}

// Question is the text of what is asked: the row's last message.
func (r *Row) Question() string {
	return r.Chat.AdditionalMessages[len(r.Chat.AdditionalMessages)-1].Content
}

// The fields of a row: keys of a JSON object, columns of a table.
const (
	fieldCustomID        = "custom_id"
	fieldQuestion        = "question"
	fieldMessages        = "additional_messages"
	fieldBotID           = "bot_id"
	fieldUserID          = "user_id"
	fieldConversationID  = "conversation_id"
	fieldConversationKey = "conversation_key"
	fieldCustomVariables = "custom_variables"
	fieldParameters      = "parameters"
	fieldMetaData        = "meta_data"
)

var knownFields = []string{
	fieldCustomID, fieldQuestion, fieldMessages, fieldBotID, fieldUserID, fieldConversationID, fieldConversationKey,
	fieldCustomVariables, fieldParameters, fieldMetaData,
}

// finish fills in what the row left open and checks the whole. What is returned is what is wrong.
func (in *Input) finish(row *Row) (wrong []string) {
	if row.CustomID == "" {
		row.CustomID = strconv.Itoa(row.N)
	}
	if row.Chat.BotID == "" {
		row.Chat.BotID = in.options.BotID
	}
	row.Chat.CustomID = row.CustomID
	row.Chat.Credential, row.Chat.OnTurnFailure = in.options.Credential, in.options.OnTurnFailure
	if row.Chat.BotID == "" {
		wrong = append(wrong, "no bot: give the row a bot_id, or name one for all with --bot or COZE_BOT_ID")
	}
	if err := row.Chat.Validate(); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
