package input

import (
	"fmt"
	"io"
	"strings"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/usage"
)

// InputOptions say how an input is read. The zero value is good for a file whose rows name their bots.
type Options struct {
	// Format is jsonl, csv, tsv, xlsx or txt; but for xlsx with .gz behind it where the input is compressed. Empty: by
	// the file's extension; of stdin, jsonl.
	Format string

	// QuestionCol is the column of a table, or the field of a jsonl, that holds the question. Empty: question.
	QuestionCol string

	// CustomIDCol is the column or field that holds the custom_id, and has to be there. Empty: custom_id, if it is there.
	CustomIDCol string

	// Delimiter stands between the cells of a csv or tsv: comma, semicolon or tab, or the character itself. Empty: found
	// out.
	Delimiter string

	// Encoding is that of a text: see charset.Parse. Empty: found out.
	Encoding string

	// Sheet is the sheet of an xlsx. Empty: the first.
	Sheet string

	// Prompt is a text/template that makes the question of a row's columns or fields. Empty: there is a column with the
	// question.
	Prompt string

	// System says what becomes of a system message in a row of the shape of OpenAI's batches, as Coze knows none:
	// SystemRefuse, SystemPrepend or SystemDrop. Empty: SystemRefuse.
	System string

	// Unsupported says what becomes of what a row of the shape of OpenAI's batches has and a bot cannot be asked for, as
	// tools: UnsupportedRefuse or UnsupportedDrop. Empty: UnsupportedRefuse.
	Unsupported string

	// Stdin is what the path - reads. nil: os.Stdin.
	Stdin io.Reader

	// Live has the rows of a Stdin that is a pipe asked as they come, where nobody has checked them before: see Job.Run. What
	// is compressed, a json and an xlsx are read to its end first all the same.
	Live bool

	// Content is what the path - reads instead of Stdin, if it is not nil: what is in memory anyway, and must not change.
	// No text is copied to a temporary file then.
	Content []byte

	// BotID is the bot of rows that name none. Empty: each row must name its own.
	BotID string

	// Credential and OnTurnFailure are those of all rows: see tasks.Chat.
	Credential    string
	OnTurnFailure string
}

// Values of InputOptions.System.
const (
	SystemRefuse  = "refuse"  // the row is wrong
	SystemPrepend = "prepend" // its text goes before that of the first user's message
	SystemDrop    = "drop"    // it is left out: the bot has its own
)

// Values of InputOptions.Unsupported.
const (
	UnsupportedRefuse = "refuse" // the row is wrong
	UnsupportedDrop   = "drop"   // it is left out
)

// Check finds what is wrong with the options themselves, whatever the input is: a *UsageError.
func (o Options) Check() error {
	if o.Format != "" {
		if _, _, err := inputFormat("", o.Format); err != nil {
			return err
		}
	}
	if o.Encoding != "" {
		if _, err := charset.Parse(o.Encoding); err != nil {
			return &usage.Error{What: "unknown encoding " + strings.Split(err.Error(), ",")[0], Hint: "--encoding takes utf-8, gb18030 (also gbk), utf-16le or utf-16be"}
		}
	}
	if o.Delimiter != "" {
		if _, err := parseDelimiter(o.Delimiter); err != nil {
			return err
		}
	}
	switch o.System {
	case "", SystemRefuse, SystemPrepend, SystemDrop:
	default:
		return &usage.Error{
			What: fmt.Sprintf("unknown --system %q", o.System),
			Hint: "it takes " + SystemRefuse + ", " + SystemPrepend + " or " + SystemDrop,
		}
	}
	switch o.Unsupported {
	case "", UnsupportedRefuse, UnsupportedDrop:
	default:
		return &usage.Error{
			What: fmt.Sprintf("unknown --unsupported %q", o.Unsupported),
			Hint: "it takes " + UnsupportedRefuse + " or " + UnsupportedDrop,
		}
	}
	if o.Prompt != "" {
		if _, err := newPrompt(o.Prompt); err != nil {
			return err
		}
	}
	return nil
}
