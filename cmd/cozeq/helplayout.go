package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// leastHelp is the least width that is left to what a flag or a command does.
const leastHelp = 30

// entry is a line of the help that names a flag or a command: what is before the text
// that explains it.
var entry = regexp.MustCompile(`^ +(-\w, )?(--)?[a-z][a-z0-9-]*( \S+)? {2,}`)

// layHelp makes the help of all commands fit a terminal. In a pipe, and in manual pages,
// its lines stay as they were written.
func layHelp(root *cobra.Command, s *streams) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if !s.OutTTY {
			help(cmd, args)
			return
		}
		var text bytes.Buffer
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(s.Out)
		cmd.Print(laidOut(text.String(), s.Width))
	})
}

// laidOut breaks what is wider than the terminal: paragraphs anew, and the texts of
// flags and commands below their own beginning. Examples stay whole, to be copied.
func laidOut(text string, width int) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for len(lines) > 0 {
		n := 1
		for prose(lines[0]) && n < len(lines) && prose(lines[n]) {
			n++
		}
		paragraph := lines[:n]
		lines = lines[n:]
		name := entry.FindString(paragraph[0])
		switch {
		case !slices.ContainsFunc(paragraph, func(line string) bool { return columns(line) > width }):
			b.WriteString(strings.Join(paragraph, "\n") + "\n")
		case prose(paragraph[0]):
			b.WriteString(wrapped(strings.Join(paragraph, " "), "", width))
		case name == "":
			b.WriteString(paragraph[0] + "\n")
		case width-columns(name) < leastHelp:
			b.WriteString(strings.TrimRight(name, " ") + "\n" + wrapped(paragraph[0][len(name):], "        ", max(width, leastHelp)))
		default:
			text := wrapped(paragraph[0][len(name):], strings.Repeat(" ", columns(name)), width)
			b.WriteString(name + strings.TrimLeft(text, " "))
		}
	}
	return b.String()
}

// prose is a line of a paragraph.
func prose(line string) bool { return line != "" && line[0] != ' ' }
