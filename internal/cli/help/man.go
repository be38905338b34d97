package help

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/terminal"
)

// NewMan writes the manual pages, out of the same texts as --help. It is for packagers, so the help does not list it.
func NewMan(s *terminal.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages",
		Long: `Writes a manual page for each command into DIRECTORY: cozeq.1, cozeq-run.1 and so
on. It creates DIRECTORY if necessary. $SOURCE_DATE_EPOCH sets the date of the
pages, for reproducible packages.`,
		Example: "  cozeq man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    misuse.CheckArgs(1, 1, "DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := manDate(s)
			if err != nil {
				return misuse.Errorf(cmd, "%w", err)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, c := range append(Below(cmd.Root()), cmd.Root()) {
				if !c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
					continue
				}
				name := strings.ReplaceAll(c.CommandPath(), " ", "-")
				if err := os.WriteFile(filepath.Join(args[0], name+".1"), []byte(manPage(c, name, s.Version, date)), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func manDate(s *terminal.Streams) (time.Time, error) {
	const env = "SOURCE_DATE_EPOCH"
	text, _ := s.Env(env)
	if text == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %q, want seconds since 1970", env, text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// manPage is a page in the macros of man(7).
func manPage(cmd *cobra.Command, name, version string, date time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q 1 %q %q %q\n", strings.ToUpper(name), date.Format("Jan 2006"), "cozeq "+version, "cozeq")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	if cmd.Runnable() {
		fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	}
	b.WriteString(".SH DESCRIPTION\n" + roffText(helpLong(cmd)))
	for title, commands := range commandGroups(cmd) {
		b.WriteString(".SH " + strings.ToUpper(roff(title)) + "\n")
		for _, c := range commands {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
		}
	}
	for g := range Groups(cmd) {
		b.WriteString(".SH " + strings.ToUpper(g.title) + "\n")
		for _, f := range g.Flags {
			placeholder, _ := flags.Placeholder(f)
			head, _, _ := strings.Cut(strings.TrimSpace(Head(f))+" ", " "+placeholder+" ")
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fP \\fI%s\\fP\n%s\n", roff(strings.TrimSpace(head)), roff(placeholder), roff(Usage(f)))
		}
	}
	if cmd.HasExample() {
		b.WriteString(".SH EXAMPLES\n" + roffText(cmd.Example))
	}
	if parent := cmd.Parent(); parent != nil {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(strings.ReplaceAll(parent.CommandPath(), " ", "-")))
	}
	return b.String()
}

// roff escapes a line of text. A hyphen stays one that can be copied.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}

// roffText is prose, and indented lines as they are.
func roffText(text string) string {
	var b strings.Builder
	literal := false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if indented := strings.TrimLeft(line, " \t") != line; indented != literal && line != "" {
			b.WriteString(map[bool]string{true: ".PP\n.nf\n", false: ".fi\n"}[indented])
			literal = indented
		}
		if line == "" && !literal {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if literal {
		b.WriteString(".fi\n")
	}
	return b.String()
}
