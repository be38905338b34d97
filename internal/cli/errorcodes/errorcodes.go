// Package errorcodes is the command errors: it explains the codes and classes of Coze in English and Chinese, and writes
// docs/errors.md. What cozeq does about an error is decided in worker; the texts here describe it.
package errorcodes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// Options are what the command line says.
type Options struct {
	Streams  *terminal.Streams
	Settings settings.Config
	What     string // a code or a class; "": the whole table
	JSON     bool
	Markdown bool
}

func New(s *terminal.Streams) *cobra.Command {
	o := &Options{Streams: s}
	cmd := &cobra.Command{
		Use:   "errors [CODE or CLASS]",
		Short: "Explain Coze's error codes",
		Long: `Lists Coze's error codes, or explains one: its class, what it concerns, what
cozeq does about it, and what you can do. With the name of a class it explains
the class and lists its codes. A code that is not in the table is classified by
its range, and the explanation says how.

The language is that of --lang, COZEQ_LANG or the locale (LC_ALL, LC_MESSAGES,
LANG). In a pipe, names stay English. --json has the texts in English, and in
Chinese under "zh".

--codes FILE shows the table with that file's changes:
  {"4013": {"class": "rate", "hint": "..."}, "9999": "transient"}
A row may set class, scope, tries, meaning and hint, and "zh": {"meaning":
"...", "hint": "..."} for its Chinese texts.`,
		Example: `  cozeq errors
  cozeq errors 4016
  cozeq errors quota
  cozeq errors 4028 --lang zh
  cozeq errors --json | jq '.[] | select(.scope == "bot")'`,
		Args: misuse.CheckArgs(0, 1, "CODE"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completions(settings.Of(cmd, s), args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Settings, o.What = settings.Of(cmd, s), strings.Join(args, "")
			return run(o)
		},
	}
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&o.Markdown, "markdown", false, "print the whole table as a Markdown document")
	settings.AddFlags(cmd, settings.Codes)
	return cmd
}

func run(o *Options) error {
	table, err := o.Settings.Codes()
	if err != nil {
		return err
	}
	lang, err := o.Settings.Lang()
	if err != nil {
		return err
	}
	p, cmd := &page{o.Streams, lang}, o.Settings.Cmd
	switch {
	case o.Markdown && (o.JSON || o.What != ""):
		return misuse.Errorf(cmd, "--markdown prints the whole table: leave --json and CODE out")
	case o.Markdown:
		return writeManual(o.Streams.Out, lang, table.All())
	case o.What == "" && o.JSON:
		return terminal.WriteJSON(o.Streams.Out, newRows(table.All()))
	case o.What == "":
		return p.list(table.All())
	}
	if name := coze.Class(strings.ToLower(o.What)); slices.Contains(coze.Classes(), name) {
		if o.JSON {
			return terminal.WriteJSON(o.Streams.Out, newClassRow(name, table.All()))
		}
		return p.class(name, table.All())
	}
	code, err := strconv.Atoi(o.What)
	if err != nil || code <= 0 {
		return misuse.Errorf(cmd, "CODE %q, want a whole number above 0, as 4013, or a class: %s", o.What, ClassNames())
	}
	found, listed := table.Lookup(code)
	if !listed {
		found = table.Classify(code, 200)
	}
	if o.JSON {
		return terminal.WriteJSON(o.Streams.Out, newRow(found, listed))
	}
	return p.code(found, listed)
}

func ClassNames() string { return strings.Trim(fmt.Sprint(coze.Classes()), "[]") }

// completions are the classes and then the codes, with their meaning.
func completions(cfg settings.Config, args []string) (found []cobra.Completion) {
	table, err := cfg.Codes()
	if err != nil || len(args) > 0 {
		return nil
	}
	lang, _ := cfg.Lang()
	for _, class := range coze.Classes() {
		found = append(found, cobra.CompletionWithDesc(string(class), class.Meaning().In(lang)))
	}
	for _, code := range table.All() {
		found = append(found, cobra.CompletionWithDesc(strconv.Itoa(code.Code), code.Meaning.In(lang)))
	}
	return found
}
