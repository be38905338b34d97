package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/cli/help"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/terminal"
)

// everyCommand are all commands of the program with what it prints about them in a pipe.
func everyCommand(t *testing.T) map[*cobra.Command]string {
	t.Helper()
	s := terminal.Streams{Env: func(string) (string, bool) { return "", false }}
	root := newRootCmd(&s)
	all := map[*cobra.Command]string{}
	for _, cmd := range append(help.Below(root), root) {
		args := append(strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "cozeq")), "--help")
		if cmd.IsAdditionalHelpTopicCommand() {
			args = []string{"help", cmd.Name()}
		}
		var out bytes.Buffer
		s := terminal.Streams{Out: &out, Err: &out, Env: s.Env, Width: 200} // a terminal on stderr
		if code := Execute(t.Context(), args, s); code != exitcode.OK {
			t.Fatalf("%s: exit code %d: %s", cmd.CommandPath(), code, &out)
		}
		all[cmd] = out.String()
	}
	return all
}

func TestHelpInPipe(t *testing.T) {
	for cmd, text := range everyCommand(t) {
		for line := range strings.SplitSeq(text, "\n") {
			if terminal.Columns(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %d columns: %q", cmd.CommandPath(), terminal.Columns(line), line)
			}
		}
		if strings.Contains(text, "\nFlags:") {
			t.Errorf("%s: a flag is in no group of helpGroups:\n%s", cmd.CommandPath(), text)
		}
	}
}

var placeholderForm = regexp.MustCompile(`^([A-Z][A-Za-z/:=,.]*|\{[a-z0-9|-]+\}|)$`)

// The values of a flag are named, its default is told once, and a list of words stands in its placeholder.
func TestFlagsOfHelp(t *testing.T) {
	words := 0
	for cmd, text := range everyCommand(t) {
		for g := range help.Groups(cmd) {
			for _, f := range g.Flags {
				head := help.Head(f)
				placeholder, _ := flags.Placeholder(f)
				if !placeholderForm.MatchString(placeholder) {
					t.Errorf("%s --%s takes %q", cmd.CommandPath(), f.Name, placeholder)
				}
				if !strings.Contains(text, "\n"+head) {
					t.Errorf("%s: no %q in its help", cmd.CommandPath(), head)
				}
				if about := help.Usage(f); strings.Count(about, "(default ") > 1 || strings.Contains(about, "default:") {
					t.Errorf("%s --%s: %q", cmd.CommandPath(), f.Name, about)
				}
				if len(flags.Words(f)) > 0 {
					words++
				}
			}
		}
	}
	if words < 20 {
		t.Errorf("%d flags have a list of words", words)
	}
}

// Nothing of a help is lost on a terminal of any width, and it fits, but for examples and lines of code.
func TestHelpOnTerminal(t *testing.T) {
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for cmd := range everyCommand(t) {
		args := append(strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "cozeq")), "--help")
		whole, _, _ := onTerminal(t, 1000, false, args...)
		for _, width := range []int{60, 72, 80, 120} {
			out, _, code := onTerminal(t, width, false, args...)
			if code != exitcode.OK || words(out) != words(whole) {
				t.Errorf("%s at %d: exit code %d, text lost:\n%s", cmd.CommandPath(), width, code, out)
			}
			for line := range strings.SplitSeq(out, "\n") {
				if width >= 80 && terminal.Columns(line) > width {
					t.Errorf("%s at %d: %d columns: %q", cmd.CommandPath(), width, terminal.Columns(line), line)
				}
			}
		}
	}
}

func TestHelpLayout(t *testing.T) {
	out, _, _ := onTerminal(t, 80, false, "run", "--help")
	want := regexp.MustCompile(`(?m)^      --concurrency N         have at most N chats in flight in this process\n {30}\(default 64\) \[\$COZEQ_CONCURRENCY\]$`)
	if !want.MatchString(out) {
		t.Errorf("a flag's text does not go on under itself:\n%s", out)
	}
	out, _, _ = onTerminal(t, 40, false, "run", "--help")
	if want := "      --bot ID\n        ID of the bot for questions that\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in a narrow help:\n%s", want, out)
	}
	out, _, _ = onTerminal(t, 300, false, "run", "--help")
	for line := range strings.SplitSeq(out, "\n") {
		if terminal.Columns(line) > help.MaxWidth {
			t.Errorf("%d columns on a wide terminal: %q", terminal.Columns(line), line)
		}
	}
}
