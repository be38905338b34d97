package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/textfile"
)

// InputFlags are the flags of every command that reads a file of questions.
type InputFlags struct {
	format      string
	questionCol string
	customIDCol string
	delimiter   string
	encoding    string
	sheet       string
	prompt      string
	promptFile  string
	system      string
	unsupported string
}

func (i *InputFlags) Add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&i.format, "format", "", "format of INPUT, with .gz if compressed (default by its extension; jsonl on stdin)")
	flags.OneOf(f, "format", "jsonl", "json", "csv", "tsv", "xlsx", "txt")
	f.StringVar(&i.questionCol, "question-col", "", "`NAME` of the column or field with the question (default question)")
	f.StringVar(&i.customIDCol, "custom-id-col", "", "`NAME` of the column or field with the custom_id (default custom_id)")
	f.StringVar(&i.delimiter, "delimiter", "", "what separates the cells of a .csv or .tsv (default detected)")
	flags.OneOf(f, "delimiter", "comma", "semicolon", "tab")
	f.StringVar(&i.encoding, "encoding", "", "encoding of INPUT; gbk means gb18030 (default detected)")
	flags.OneOf(f, "encoding", "utf-8", "gb18030", "utf-16le", "utf-16be")
	f.StringVar(&i.sheet, "sheet", "", "`NAME` of the sheet of an .xlsx (default the first)")
	f.StringVar(&i.prompt, "prompt", "", "make each question from the row's columns with this `TEMPLATE`: 'Translate: {{.text}}'")
	f.StringVar(&i.promptFile, "prompt-file", "", "the same, with the template in `FILE`")
	f.StringVar(&i.system, "system", "", "what to do with system messages in OpenAI batch rows: refuse the row, prepend them to the question, or drop them (default refuse)")
	flags.OneOf(f, "system", "refuse", "prepend", "drop")
	f.StringVar(&i.unsupported, "unsupported", "", "what to do with fields of OpenAI batch rows that Coze has no equivalent for, such as tools: refuse the row, or drop the field (default refuse)")
	flags.OneOf(f, "unsupported", "refuse", "drop")
}

// Options are the flags as package input takes them. The command adds the bot and the credential.
func (i *InputFlags) Options(cmd *cobra.Command) (input.Options, error) {
	o := input.Options{
		Format: i.format, QuestionCol: i.questionCol, CustomIDCol: i.customIDCol,
		Delimiter: i.delimiter, Encoding: i.encoding, Sheet: i.sheet, System: i.system,
		Unsupported: i.unsupported,
	}
	prompt, err := i.template(cmd)
	if err != nil {
		return o, err
	}
	if o.Prompt, err = prompt, o.Check(); err != nil {
		return o, misuse.Errorf(cmd, "%w", err)
	}
	return o, nil
}

func (i *InputFlags) template(cmd *cobra.Command) (string, error) {
	inline, file := cmd.Flags().Changed("prompt"), cmd.Flags().Changed("prompt-file")
	switch {
	case inline && file:
		return "", misuse.Errorf(cmd, "--prompt and --prompt-file: choose one")
	case (inline || file) && i.questionCol != "":
		return "", misuse.Errorf(cmd, "--question-col and a prompt: choose one; a prompt names the columns itself, as {{.%s}}", i.questionCol)
	case inline && strings.TrimSpace(i.prompt) == "":
		return "", misuse.Errorf(cmd, "--prompt: empty")
	case !file:
		return i.prompt, nil
	}
	text, err := textfile.Read(i.promptFile)
	switch {
	case err != nil:
		return "", misuse.Errorf(cmd, "--prompt-file: %w", err)
	case !utf8.Valid(text):
		return "", misuse.Errorf(cmd, "--prompt-file: %s is not UTF-8: save it as UTF-8", i.promptFile)
	case strings.TrimSpace(string(text)) == "":
		return "", misuse.Errorf(cmd, "--prompt-file: %s is empty", i.promptFile)
	}
	// Editors end a file with a newline that is not part of the prompt.
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// OpenInput opens a file of questions and checks all of it, so that every error is known before anything is asked. The caller
// closes the Input.
//
// If the first row has no bot and none is set, the error is one about the setting, not a thousand about rows.
func OpenInput(cmd *cobra.Command, path string, o input.Options) (*input.Input, error) {
	in, err := input.Open(path, o)
	if err != nil {
		return nil, misuse.Errorf(cmd, "%w", err)
	}
	if o.Workflow == nil && (o.Chatflow == nil || o.Chatflow.AppID == "") && o.BotID == "" && !in.NamesBot() {
		return nil, errors.Join(MissingBot(), in.Close())
	}
	if in.Live() {
		return in, nil
	}
	if err := checkInput(cmd, in); err != nil {
		if invalid, ok := errors.AsType[*input.InvalidInput](err); ok {
			if json, _ := cmd.Flags().GetBool("json"); json {
				err = errors.Join(err, terminal.WriteJSON(cmd.OutOrStdout(), invalidRecord(invalid)))
			}
			// The format may have been guessed wrongly.
			if text := Detected(in); text != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), text)
			}
		}
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// invalidJSON has all errors of an input, for programs.
type invalidJSON struct {
	Total    int               `json:"total"`
	Kinds    []problemKindJSON `json:"kinds"`
	Problems []problemJSON     `json:"problems"` // in the order of the file, the first 100,000
}

type problemJSON struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // of an .xlsx the sheet's row
	What string `json:"what"`
	Rows int    `json:"rows,omitempty"` // how many have it, if one stands for all
}

type problemKindJSON struct {
	What  string      `json:"what"`
	Count int         `json:"count"`
	First problemJSON `json:"first"`
}

func invalidRecord(e *input.InvalidInput) invalidJSON {
	problem := func(p *input.Problem) problemJSON { return problemJSON{p.File, p.Line, p.What, p.Rows} }
	out := invalidJSON{Total: e.Total}
	for _, k := range e.Kinds() {
		out.Kinds = append(out.Kinds, problemKindJSON{k.What, k.Count, problem(k.First)})
	}
	for _, p := range e.Problems {
		out.Problems = append(out.Problems, problem(p))
	}
	return out
}

// patientFor is how long a person accepts a silent screen.
const patientFor = 5 * time.Second

// checkInput reads the whole input, and says so if that takes long.
func checkInput(cmd *cobra.Command, in *input.Input) error {
	said := make(chan struct{})
	timer := time.AfterFunc(patientFor, func() {
		defer close(said)
		fmt.Fprintf(cmd.ErrOrStderr(), "cozeq: checking %s, nothing is asked yet\n", in.Name())
	})
	_, err := in.Check(cmd.Context())
	if !timer.Stop() {
		<-said
	}
	return err
}

// Detected says what was detected about an input if a reader would not expect it; "" = nothing.
func Detected(in *input.Input) string {
	if found := in.Found(); found != "" {
		return fmt.Sprintf("cozeq: %s: %s", in.Name(), found)
	}
	return ""
}
