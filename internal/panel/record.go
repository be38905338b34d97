package panel

import (
	"fmt"
	"io"
	"strings"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
)

func recordText(s *terminal.Streams, row *input.Row, r *results.Result) string {
	var b strings.Builder
	label := row.CustomID
	if row.Chat.ConversationKey != "" {
		label += " (" + row.Chat.ConversationKey + ")"
	}
	if r.Cached {
		label += ", answered before"
	}
	fmt.Fprintf(&b, "%s %s\n", s.Paint(true, terminal.Dim, terminal.OneLine(label)), s.Paint(true, terminal.Bold, terminal.Short(row.Question(), 500)))
	text := terminal.Printable(r.Answer)
	if r.Status != results.Completed {
		text = s.Paint(true, terminal.Red, terminal.Printable(string(r.Status)))
		if r.Error != nil {
			text += " " + terminal.Printable(r.Error.Error())
		}
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

func WriteRecord(w io.Writer, r *results.Result) error {
	line, err := r.Encode()
	if err != nil {
		return err
	}
	_, err = w.Write(append(terminal.InertJSON(line), '\n'))
	return err
}
