package openai

import "strings"

// answer follows an answer on its way and hands out what is new of it.
//
// A stream that is cut is looked up by the worker, which then publishes the whole answer behind a reset. In most cases it
// begins with what was sent. So after a reset the new text is held against what was sent, and only what goes beyond it is
// handed out; a reader notices nothing.
type answer struct {
	sent   strings.Builder
	behind int  // after a reset: how much of sent the new text has repeated so far
	again  bool // the new text has not repeated all of it yet
}

// add returns what is new in the next piece, or errRestarted.
func (a *answer) add(piece string) (string, error) {
	if a.again {
		sent := a.sent.String()[a.behind:]
		n := min(len(sent), len(piece))
		if piece[:n] != sent[:n] {
			return "", errRestarted
		}
		a.behind += n
		a.again = n < len(sent)
		piece = piece[n:]
	}
	a.sent.WriteString(piece)
	return piece, nil
}

// restart is a reset: what comes next is the beginning of the answer.
func (a *answer) restart() { a.behind, a.again = 0, a.sent.Len() > 0 }

// end returns what of the whole answer is missing, or errRestarted. Pieces can be lost, and what the record says is right.
func (a *answer) end(whole string) (string, error) {
	rest, ok := strings.CutPrefix(whole, a.sent.String())
	switch {
	case ok:
		a.sent.WriteString(rest)
		return rest, nil
	case strings.TrimSpace(a.sent.String()) == strings.TrimSpace(whole):
		return "", nil
	}
	return "", errRestarted
}
