package input

import (
	"fmt"
	"io"
	"strings"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
)

// Options say how an input is read. The zero value is valid for a file whose rows name their bots.
type Options struct {
	// Format is jsonl, json, csv, tsv, xlsx or txt; all but xlsx with .gz behind it if the input is compressed. Empty: by
	// the file's extension; jsonl for stdin.
	Format string

	// QuestionCol is the column of a table, or the field of a jsonl, that holds the question. Empty: question.
	QuestionCol string

	// CustomIDCol is the column or field that holds the custom_id, and must exist. Empty: custom_id, if it exists.
	CustomIDCol string

	// Delimiter separates the cells of a csv or tsv: comma, semicolon or tab, or the character itself. Empty: detected.
	Delimiter string

	// Encoding is that of a text: see charset.Parse. Empty: detected.
	Encoding string

	// Sheet is the sheet of an xlsx. Empty: the first.
	Sheet string

	// Prompt is a text/template that makes the question of a row's columns or fields. Empty: a column has the question.
	Prompt string

	// System says what happens to a system message in a row in the format of OpenAI's batches, as Coze has none:
	// SystemRefuse, SystemPrepend or SystemDrop. Empty: SystemRefuse.
	System string

	// Unsupported says what happens to a field of a row in the format of OpenAI's batches that a bot does not support, as
	// tools: UnsupportedRefuse or UnsupportedDrop. Empty: UnsupportedRefuse.
	Unsupported string

	// Stdin is what the path - reads. nil: os.Stdin.
	Stdin io.Reader

	// Live makes the rows of a Stdin that is a pipe available as they are written, without a check of the whole: see
	// LiveRows. A compressed input, a json and an xlsx are read to their end first all the same.
	Live bool

	// Content is what the path - reads instead of Stdin, if it is not nil. It must not change. A text is not copied to a
	// temporary file then.
	Content []byte

	// Workflow makes each row a run of this workflow, nil: a question.
	Workflow *Workflow

	// Chatflow is asked each row's question, nil: a bot is.
	Chatflow *Chatflow

	// BotID is the bot of rows that name none. Empty: each row must name its own.
	BotID string

	// Credential, OnTurnFailure and Tools are those of all rows: see tasks.Chat.
	Credential    string
	OnTurnFailure string
	Tools         map[string]tasks.ToolWebhook

	// Requests wants each row in the format of OpenAI's batches, as its Batch API does; nil: rows may have any.
	Requests *Requests

	// CheckFile checks a file of this machine that a row names, by its path; nil: rows may not name any.
	CheckFile func(path string) error

	// Allow says whether a row may be asked, and may change its chat; nil: all may. Its error makes the row wrong.
	Allow func(*tasks.Chat) error
}

// Values of Options.System.
const (
	SystemRefuse  = messages.Refuse
	SystemPrepend = messages.Prepend
	SystemDrop    = messages.Drop
)

// Values of Options.Unsupported.
const (
	UnsupportedRefuse = "refuse" // the row is wrong
	UnsupportedDrop   = "drop"   // it is left out
)

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
	if o.Workflow != nil {
		return o.Workflow.check(&o)
	}
	return nil
}

func (o *Options) checkFor(format Format) error {
	for _, flag := range []struct {
		name, value string
		ok          bool
		of          string
	}{
		{"--sheet", o.Sheet, format == XLSX, "an .xlsx"},
		{"--delimiter", o.Delimiter, format == CSV || format == TSV, "a .csv or .tsv"},
		{"--encoding", o.Encoding, format != XLSX, "a text, and an .xlsx is none"},
		{"--question-col", o.QuestionCol, format != TXT, "a file with columns or fields"},
		{"--custom-id-col", o.CustomIDCol, format != TXT, "a file with columns or fields"},
		{"--system", o.System, format.Objects(), "a .jsonl or .json"},
		{"--unsupported", o.Unsupported, format.Objects(), "a .jsonl or .json"},
	} {
		if flag.value != "" && !flag.ok {
			return &usage.Error{What: fmt.Sprintf("%s is for %s", flag.name, flag.of), Hint: fmt.Sprintf("leave it out for a .%s", format)}
		}
	}
	if o.Workflow != nil && format == TXT {
		return &usage.Error{What: "--workflow needs columns or fields, and a .txt has none", Hint: "use a .csv or .jsonl"}
	}
	return nil
}
