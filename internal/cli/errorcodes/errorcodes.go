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

type errorsCommand struct {
	streams  *terminal.Streams
	json     bool
	markdown bool
}

func New(s *terminal.Streams) *cobra.Command {
	c := &errorsCommand{streams: s}
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
			return c.completions(cmd, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: c.run,
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&c.markdown, "markdown", false, "print the whole table as a Markdown document")
	settings.AddFlags(cmd, settings.Codes)
	return cmd
}

func (c *errorsCommand) run(cmd *cobra.Command, args []string) error {
	settings := settings.Of(cmd, c.streams)
	table, err := settings.Codes()
	if err != nil {
		return err
	}
	lang, err := settings.Lang()
	if err != nil {
		return err
	}
	page := &errorsPage{c.streams, lang}
	switch {
	case c.markdown && (c.json || len(args) > 0):
		return misuse.Errorf(cmd, "--markdown prints the whole table: leave --json and CODE out")
	case c.markdown:
		return writeErrorsManual(c.streams.Out, lang, table.All())
	case len(args) == 0 && c.json:
		return terminal.WriteJSON(c.streams.Out, rows(table.All()))
	case len(args) == 0:
		return page.list(table.All())
	}
	if name := coze.Class(strings.ToLower(args[0])); slices.Contains(coze.Classes(), name) {
		if c.json {
			return terminal.WriteJSON(c.streams.Out, class(name, table.All()))
		}
		return page.class(name, table.All())
	}
	code, err := strconv.Atoi(args[0])
	if err != nil || code <= 0 {
		return misuse.Errorf(cmd, "CODE %q, want a whole number above 0, as 4013, or a class: %s", args[0], ClassNames())
	}
	found, listed := table.Lookup(code)
	if !listed {
		found = table.Classify(code, 200)
	}
	if c.json {
		return terminal.WriteJSON(c.streams.Out, row(found, listed))
	}
	return page.code(found, listed)
}

func ClassNames() string {
	return strings.Trim(fmt.Sprint(coze.Classes()), "[]")
}

// completions are the classes, then the codes, with what they mean.
func (c *errorsCommand) completions(cmd *cobra.Command, args []string) []cobra.Completion {
	settings := settings.Of(cmd, c.streams)
	table, err := settings.Codes()
	if err != nil || len(args) > 0 {
		return nil
	}
	lang, _ := settings.Lang()
	var found []cobra.Completion
	for _, class := range coze.Classes() {
		found = append(found, cobra.CompletionWithDesc(string(class), class.Meaning().In(lang)))
	}
	for _, code := range table.All() {
		found = append(found, cobra.CompletionWithDesc(strconv.Itoa(code.Code), code.Meaning.In(lang)))
	}
	return found
}
