package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// recordText is a question and what became of it, for people.
func recordText(s *streams, row *input.Row, r *results.Result) string {
	var b strings.Builder
	label := row.CustomID
	if row.Chat.ConversationKey != "" {
		label += " (" + row.Chat.ConversationKey + ")"
	}
	if r.Cached {
		label += ", answered before"
	}
	fmt.Fprintf(&b, "%s %s\n", s.color(true, dim, oneLine(label)), s.color(true, bold, short(row.Question(), 500)))
	text := printable(r.Answer)
	if r.Status != results.Completed {
		text = s.color(true, red, printable(string(r.Status)))
		if r.Error != nil {
			text += " " + printable(r.Error.Error())
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// printRecord prints a result as a line of JSON.
func printRecord(w io.Writer, r *results.Result) error {
	line, err := r.Encode()
	if err != nil {
		return err
	}
	_, err = w.Write(append(inertJSON(line), '\n'))
	return err
}
