package ask

import (
	"fmt"
	"io"
	"strings"

	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
)

// liveAnswer prints an answer piece by piece.
type liveAnswer struct {
	streams *terminal.Streams
	text    strings.Builder // what stands on stdout since the answer began
}

func (l *liveAnswer) add(p tasks.Piece) error {
	if p.Restart {
		if l.text.Len() > 0 {
			l.breakLine()
			fmt.Fprintln(l.streams.Err, "cozeq: the answer starts again")
		}
		l.text.Reset()
	}
	l.text.WriteString(p.Text)
	return l.print(p.Text)
}

// finish prints what is missing to the whole answer: all of it where nothing was
// streamed, or the rest where the stream broke and the answer was looked up.
func (l *liveAnswer) finish(answer string) error {
	rest, found := strings.CutPrefix(answer, l.text.String())
	if !found {
		l.breakLine()
		rest = answer
	}
	if !strings.HasSuffix(answer, "\n") {
		rest += "\n"
	}
	return l.print(rest)
}

// breakLine ends a line that was begun, so that what follows has one of its own.
func (l *liveAnswer) breakLine() {
	if text := l.text.String(); text != "" && !strings.HasSuffix(text, "\n") {
		io.WriteString(l.streams.Out, "\n")
	}
}

func (l *liveAnswer) print(text string) error {
	if l.streams.OutTTY {
		text = terminal.Printable(text)
	}
	_, err := io.WriteString(l.streams.Out, text)
	return err
}
