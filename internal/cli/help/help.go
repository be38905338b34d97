// Package help writes a command's help: --help, manual pages and the topics of 'cozeq help', all from the same texts. Flags
// have the groups of helpGroups; a new flag needs a place there.
package help

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/terminal"
)

const (
	pipeHelp    = 80  // columns of the help in a pipe
	MaxWidth    = 100 // and on a wide terminal: longer lines are hard to read
	flagHelp    = 30  // where the text of flags begins, at the most
	commandHelp = 15
	leastHelp   = 30 // the least width of such a text
)

// Lay has all commands write their help by helpText.
func Lay(root *cobra.Command, s *terminal.Streams) {
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		width := pipeHelp
		if s.OutTTY {
			width = min(s.Width, MaxWidth)
		}
		cmd.Print(Text(cmd, width))
	})
}

// Text is the help of a command. Its lines fit into width columns; examples stay whole, to be copied.
func Text(cmd *cobra.Command, width int) string {
	var b strings.Builder
	b.WriteString(reflowed(helpLong(cmd), width))
	if cmd.Runnable() || cmd.HasAvailableSubCommands() {
		b.WriteString("\nUsage:\n")
		if cmd.Runnable() {
			b.WriteString("  " + cmd.UseLine() + "\n")
		}
		if cmd.HasAvailableSubCommands() {
			b.WriteString("  " + cmd.CommandPath() + " COMMAND\n")
		}
	}
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	for title, commands := range commandGroups(cmd) {
		b.WriteString("\n" + title + ":\n")
		for _, c := range commands {
			b.WriteString(helpEntry("  "+c.Name(), c.Short, commandHelp, width))
		}
	}
	var groups []flagGroup
	column := 0
	for g := range Groups(cmd) {
		groups = append(groups, g)
		for _, f := range g.Flags {
			if w := terminal.Columns(Head(f)) + 2; w <= flagHelp {
				column = max(column, w)
			}
		}
	}
	for _, g := range groups {
		b.WriteString("\n" + g.title + ":\n")
		for _, f := range g.Flags {
			b.WriteString(helpEntry(Head(f), Usage(f), column, width))
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n'%s COMMAND --help' explains a command.\n", cmd.CommandPath())
	}
	return b.String()
}

func helpLong(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}

// reflowed breaks paragraphs into lines. Indented lines stay as they are.
func reflowed(text string, width int) string {
	var b strings.Builder
	prose := func(line string) bool { return strings.TrimLeft(line, " \t") == line && line != "" }
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for len(lines) > 0 {
		n := 0
		for n < len(lines) && prose(lines[n]) {
			n++
		}
		if n > 0 {
			b.WriteString(terminal.Wrap(strings.Join(lines[:n], " "), "", width))
		} else {
			b.WriteString(strings.ReplaceAll(lines[0], "\t", "    ") + "\n")
			n = 1
		}
		lines = lines[n:]
	}
	return b.String()
}

// helpEntry is a flag or a command with its text in a column beside it, or below it where that leaves no room.
func helpEntry(head, text string, column, width int) string {
	if width-column < leastHelp {
		return head + "\n" + terminal.Wrap(text, strings.Repeat(" ", 8), max(width, leastHelp))
	}
	text = terminal.Wrap(text, strings.Repeat(" ", column), width)
	if terminal.Columns(head)+2 > column {
		return head + "\n" + text
	}
	return head + text[terminal.Columns(head):]
}

// Head is a flag with what it takes: "-o, --output FILE".
func Head(f *pflag.Flag) string {
	head := "      --" + f.Name
	if f.Shorthand != "" {
		head = "  -" + f.Shorthand + ", --" + f.Name
	}
	if placeholder, _ := flags.Placeholder(f); placeholder != "" {
		head += " " + placeholder
	}
	return head
}

// Usage says what a flag does, its default and its environment variable.
func Usage(f *pflag.Flag) string {
	_, text := flags.Placeholder(f)
	if def := flags.Default(f); def != "" {
		if def == "default" {
			def = `"default"` // the name of a queue
		}
		text += " (default " + def + ")"
	}
	if env := flags.Env(f); env != "" {
		text += " [$" + env + "]"
	}
	return text
}

// commandGroups are the commands below cmd by the titles of their groups, topics last.
func commandGroups(cmd *cobra.Command) iter.Seq2[string, []*cobra.Command] {
	return func(yield func(string, []*cobra.Command) bool) {
		shown := func(group string, topic bool) (all []*cobra.Command) {
			for _, c := range cmd.Commands() {
				if c.GroupID == group && c.IsAdditionalHelpTopicCommand() == topic && (topic || c.IsAvailableCommand() || c.Name() == "help") {
					all = append(all, c)
				}
			}
			return all
		}
		for _, g := range cmd.Groups() {
			if !yield(g.Title, shown(g.ID, false)) {
				return
			}
		}
		title := "Commands"
		if len(cmd.Groups()) > 0 {
			title = "Other commands"
		}
		if rest := shown("", false); len(rest) > 0 && !yield(title, rest) {
			return
		}
		if topics := shown("", true); len(topics) > 0 {
			yield("Topics, for 'cozeq help'", topics)
		}
	}
}

type flagGroup struct {
	title string
	Flags []*pflag.Flag
}

// helpGroups are the headings of flags in the help, in this order, and the flags below them. "submit id" is a flag of
// that command alone.
var helpGroups = []struct{ title, flags string }{
	{"Input", "format question-col custom-id-col sheet delimiter encoding prompt prompt-file run-system submit-system unsupported"},
	{"Selection", "class code status since older-than all"},
	{"Batch", "submit-id again dry-run submit-keep expires-in"},
	{"Tools", "tool tool-timeout tool-rounds ask-webhook-allow run-webhook-allow worker-webhook-allow"},
	{"Workflow", "workflow chatflow app param resume interrupt-type"},
	{"Question", "id user conversation image file var"},
	{"Output", "output on-result json markdown stream no-wait wait partial force retry-failed exit-status strict"},
	{"Asking", "demo bot credential coze-base attempts timeout on-turn-failure patience drain codes"},
	{"Limits and costs", "concurrency rate rate-http max-questions max-tokens max-answer estimate cache cache-ttl"},
	{"Redis", "redis queue queues with-worker worker-wait window keep allow-eviction"},
	{"Serving", "addr http metrics model system join-for cors max-body max-upload max-files webhook-allow monitor monitor-write prometheus-addr"},
	{"Mock", "bots token-file script latency delta-pace deltas forget seed"},
	{"General", "log lang no-descriptions version help"},
}

// Groups are the flags of a command by their groups. A flag that has none is shown, too, under "Flags".
func Groups(cmd *cobra.Command) iter.Seq[flagGroup] {
	return func(yield func(flagGroup) bool) {
		left := map[string]*pflag.Flag{}
		add := func(f *pflag.Flag) {
			if !f.Hidden {
				left[f.Name] = f
			}
		}
		cmd.LocalFlags().VisitAll(add)
		cmd.InheritedFlags().VisitAll(add)
		for _, g := range helpGroups {
			found := flagGroup{title: g.title}
			for name := range strings.FieldsSeq(g.flags) {
				if only, ok := strings.CutPrefix(name, cmd.Name()+"-"); ok && left[only] != nil {
					name = only
				}
				if f := left[name]; f != nil {
					found.Flags = append(found.Flags, f)
					delete(left, name)
				}
			}
			if len(found.Flags) > 0 && !yield(found) {
				return
			}
		}
		rest := flagGroup{title: "Flags"}
		for _, f := range left {
			rest.Flags = append(rest.Flags, f)
		}
		slices.SortFunc(rest.Flags, func(a, b *pflag.Flag) int { return strings.Compare(a.Name, b.Name) })
		if len(rest.Flags) > 0 {
			yield(rest)
		}
	}
}

// Below are all commands below cmd, whatever their depth.
func Below(cmd *cobra.Command) (all []*cobra.Command) {
	for _, c := range cmd.Commands() {
		all = append(append(all, c), Below(c)...)
	}
	return all
}
