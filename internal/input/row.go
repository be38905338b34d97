package input

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/tasks"
)

// Row is one question of an input.
type Row struct {
	N        int    // from 1
	Line     int    // on which the row begins, from 1; of an xlsx the sheet's row
	CustomID string // the row's own, or N; never empty
	Chat     *tasks.Chat

	Columns []string // of a table: the row as it was read

	Digests []string // of the files of Paths, if they were read before the upload

	item int // of an array, from 1

	Wrong string // why it cannot be asked; only of a live input

	question    *string      // what is asked as plain text; nil: it is given as messages
	attachments []attachment // its files
	ignored     []string     // see Stats
	unsupported []string     // fields that a bot does not support
	dropped     []string     // the same, if they are left out
	standIn     string       // the name of the field that is used as the question; "" = it has its own

	Request *Request // of a row of the shape of OpenAI's batches

	table   *header            // of a table: its columns
	marks   []spreadsheet.Mark // of an xlsx: what its cells are
	carried map[string]json.RawMessage
}

// Question is the text of what is asked: that of the row's last message, or a run's parameters as JSON.
func (r *Row) Question() string {
	if r.Chat.IsWorkflow() {
		return r.parametersText()
	}
	return messages.Text(&r.Chat.AdditionalMessages[len(r.Chat.AdditionalMessages)-1])
}

// The fields of a row: keys of a JSON object, columns of a table.
const (
	FieldCustomID        = "custom_id"
	FieldQuestion        = "question"
	fieldMessages        = "additional_messages"
	fieldBotID           = "bot_id"
	fieldUserID          = "user_id"
	fieldConversationID  = "conversation_id"
	fieldConversationKey = "conversation_key"
	fieldCustomVariables = "custom_variables"
	fieldParameters      = "parameters"
	fieldMetaData        = "meta_data"
	fieldFileURL         = "file_url"
	fieldFileID          = "file_id"
	fieldImageURL        = "image_url"
	fieldImageID         = "image_id"
	fieldFile            = "file"
	fieldImage           = "image"
)

var knownFields = append([]string{FieldCustomID, FieldQuestion, fieldMessages}, tableFields...)

// complete builds the question, applies defaults and validates the row. It returns the errors.
func (r *reader) complete(row *Row) (wrong []string) {
	o := r.options
	for i := range row.attachments {
		if err := r.locate(&row.attachments[i]); err != nil {
			wrong = append(wrong, row.attachments[i].field+": "+err.Error())
		}
	}
	if row.question != nil {
		row.Chat.AdditionalMessages = []tasks.Message{questionWith(*row.question, row.attachments)}
	} else if o.Workflow != nil {
		row.Chat.Parameters = withFiles(row.Chat.Parameters, row.attachments)
	} else if len(row.attachments) > 0 {
		wrong = append(wrong, row.attachments[0].field+": goes with question; in additional_messages write an object_string")
	}
	if row.CustomID == "" {
		row.CustomID = strconv.Itoa(row.N)
	}
	row.Chat.CustomID, row.Chat.Credential, row.Chat.Tools = row.CustomID, o.Credential, o.Tools
	if what := r.completeAsked(row); what != "" {
		wrong = append(wrong, what)
	}
	if err := row.Chat.Validate(); err != nil {
		wrong = append(wrong, err.Error())
	}
	if o.Allow != nil && len(wrong) == 0 {
		if err := o.Allow(row.Chat); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

func Blank(s string) bool { return strings.TrimSpace(s) == "" }

func blankCells(cells []string) bool {
	for _, cell := range cells {
		if !Blank(cell) {
			return false
		}
	}
	return true
}
