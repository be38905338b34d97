package input

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
)

// Source identifies an input: two with the same Source ask the same questions.
type Source struct {
	SHA256 string `json:"sha256"`
	Rows   int    `json:"rows"`
	Format Format `json:"format"`
	reading
	QuestionCol string `json:"question_col,omitempty"`
	CustomIDCol string `json:"custom_id_col,omitempty"`
	Prompt      string `json:"prompt_sha256,omitempty"`
	System      string `json:"system,omitempty"`
	BotID       string `json:"bot_id,omitempty"` // of the rows that name none

	Workflow *Workflow `json:"workflow,omitempty"`
	Chatflow *Chatflow `json:"chatflow,omitempty"`
}

func (in *Input) Source(stats Stats) Source {
	s := Source{
		SHA256: stats.SHA256, Rows: stats.Rows, Format: in.reader.format, reading: in.reader.decoder.reading,
		CustomIDCol: in.options.CustomIDCol, BotID: in.options.BotID, Chatflow: in.options.Chatflow,
	}
	if s.Workflow = in.options.Workflow; s.Workflow != nil {
		return s
	}
	if in.reader.names.prompt != nil {
		s.Prompt = in.reader.names.prompt.sha256
	} else if in.reader.format.table() || in.options.QuestionCol != "" {
		s.QuestionCol = in.reader.names.question
	}
	if in.options.System != SystemRefuse {
		s.System = in.options.System
	}
	return s
}

// Differs says how the source differs from the one that a run began with; "" = not at all.
func (s Source) Differs(begun Source) string {
	switch {
	case s.SHA256 != begun.SHA256:
		return "its content has changed since"
	case s.Format != begun.Format:
		return fmt.Sprintf("it was read as %s, now as %s", begun.Format, s.Format)
	case s.Prompt != begun.Prompt:
		return "its questions were made with another prompt, or without one"
	case s.QuestionCol != begun.QuestionCol:
		return fmt.Sprintf("the questions were in column %q, now in %q", begun.QuestionCol, s.QuestionCol)
	case s.CustomIDCol != begun.CustomIDCol:
		return fmt.Sprintf("the custom_ids were in column %q, now in %q", begun.CustomIDCol, s.CustomIDCol)
	case s.System != begun.System:
		return fmt.Sprintf("it was read with --system %q, now with %q", begun.System, s.System)
	case !reflect.DeepEqual(s.Workflow, begun.Workflow):
		return "the workflow, or what it takes from which column, was another"
	case !reflect.DeepEqual(s.Chatflow, begun.Chatflow):
		return "the chatflow, or its app, was another"
	case s.BotID != begun.BotID:
		return fmt.Sprintf("the bot was %q, now %q", begun.BotID, s.BotID)
	}
	return s.reading.differs(begun.reading)
}

// Identity is a hash, in hex, over all that determines the questions of a checked input: its Fingerprint, the credential,
// OnTurnFailure and the tools.
func (in *Input) Identity() string {
	all := fmt.Appendf(nil, "%s %q %q", in.Fingerprint(), in.options.Credential, in.options.OnTurnFailure)
	if len(in.options.Tools) > 0 {
		all = fmt.Appendf(all, " %q", in.options.Tools) // in the order of their names
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// Fingerprint is the same for inputs that make the same questions of the same bytes. It needs a Check without errors.
func (in *Input) Fingerprint() string {
	raw, _ := json.Marshal(in.Source(*in.stats)) // plain fields always marshal
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
