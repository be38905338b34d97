package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Load reads what an earlier run wrote. began is false if that run did not get to write its heading: nothing was asked
// then. A last line that was written in part is cut off.
func (j *Journal) Load(s input.Source) (began bool, err error) {
	lines := &lineReader{r: bufio.NewReader(io.NewSectionReader(j.file, 0, j.size))}
	line, err := lines.read()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", j.path, err)
	}
	if !lines.whole {
		// The heading is short, so that of a journal is torn near its beginning; anything else is not known to be one.
		start, _ := json.Marshal(heading{Cozeq: entryRun})
		start = start[:bytes.IndexByte(start, ',')]
		if n := min(len(start), len(line)); bytes.Equal(line[:n], start[:n]) {
			return false, nil
		}
	}
	err = json.Unmarshal(line, &j.head)
	if err != nil || j.head.Cozeq != entryRun || j.head.Run == "" || !lines.whole {
		return false, &usage.Error{What: j.path + " is not the journal of a run", Hint: "move it away, or write to another file"}
	}
	if j.head.Version != version {
		return false, &usage.Error{
			What: fmt.Sprintf("%s has version %d, this program reads %d", j.path, j.head.Version, version),
			Hint: "use the program that wrote it, or start over with --force",
		}
	}
	if what := s.Differs(j.head.Input); what != "" {
		return false, &ChangedError{File: j.path, What: what}
	}
	if j.head.Input.Rows != s.Rows {
		return false, &ChangedError{File: j.path, What: fmt.Sprintf("it had %d rows, now %d", j.head.Input.Rows, s.Rows)}
	}
	j.records, j.taken = make([]int64, s.Rows), make([]bool, s.Rows)
	for {
		line, err := lines.read()
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", j.path, err)
		}
		if !lines.whole {
			j.size = lines.at
			if err := j.file.Truncate(j.size); err != nil {
				return false, fmt.Errorf("cut off the torn end of %s: %w", j.path, err)
			}
			return true, nil
		}
		if err := j.take(line, lines.at); err != nil {
			return false, &usage.Error{
				What: fmt.Sprintf("%s:%d: %v", j.path, lines.n, err),
				Hint: "delete the line to resume without it, or start over with --force",
			}
		}
	}
}

func (j *Journal) take(line []byte, at int64) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("unreadable: %w", err)
	}
	switch e.Cozeq {
	case entryLimits:
		j.limits = e.Limits
		return nil
	case entryUpload:
		j.uploads = append(j.uploads, Upload{Content: e.Content, FileID: e.FileID, At: e.At})
		return nil
	}
	if e.Cozeq == "" {
		run, row, ask, ok := batches.ParseTaskID(e.ID)
		if !ok || run != j.head.Run || !e.Status.Terminal() {
			return fmt.Errorf("not a record of this run")
		}
		e.Row, e.Ask = row, ask
	}
	if e.Row < 1 || e.Row > len(j.records) {
		return fmt.Errorf("there is no row %d", e.Row)
	}
	switch e.Cozeq {
	case "":
		j.records[e.Row-1] = at
		if e.Ask > 1 {
			j.asks[e.Row] = e.Ask
		}
		delete(j.chats, e.Row)
	case entryChat:
		if j.records[e.Row-1] == 0 {
			j.setChat(e.chat())
		}
	case entrySpent:
		if e.Usage != nil {
			j.spent = j.spent.Plus(*e.Usage)
		}
	case entryTaken:
		j.taken[e.Row-1] = true
	case entryFed:
		j.fed = max(j.fed, e.Row)
	case entryRetry:
		if e.Ask < 2 {
			return fmt.Errorf("ask %d of row %d cannot be asked again", e.Ask, e.Row)
		}
		j.void(e.Row, e.Ask, e.Usage, e.PossibleDuplicate)
		delete(j.chats, e.Row)
	default:
		return fmt.Errorf("%q is not known to this program", e.Cozeq)
	}
	if e.ConversationKey != "" && e.ConversationID != "" {
		j.named[j.hash(e.BotID, e.ConversationKey)] = at
	}
	return nil
}

// setChat keeps what an earlier note says of the tools of the same chat.
func (j *Journal) setChat(c Chat) {
	if was := j.chats[c.Row]; len(c.Tools) == 0 && c.ChatID == was.ChatID {
		c.Tools = was.Tools
	}
	j.chats[c.Row] = c
}

type lineReader struct {
	r     *bufio.Reader
	n     int   // of the line that was read last, from 1
	at    int64 // where it begins
	next  int64 // where the next one begins
	whole bool  // it ended in a newline
}

func (l *lineReader) read() ([]byte, error) {
	line, err := l.r.ReadBytes('\n')
	if len(line) == 0 || err != nil && err != io.EOF {
		return nil, err
	}
	l.n, l.at, l.next = l.n+1, l.next, l.next+int64(len(line))
	line, l.whole = bytes.CutSuffix(line, []byte("\n"))
	return line, nil
}

// Reader reads records of a journal.
type Reader struct {
	journal *Journal
	buffer  *bufio.Reader
}

func (j *Journal) Reader() *Reader {
	return &Reader{journal: j, buffer: bufio.NewReader(nil)}
}

// Line returns a row's record with its newline; nil if it has none.
func (r *Reader) Line(row int) ([]byte, error) {
	j := r.journal
	j.mu.Lock()
	at, size := j.records[row-1], j.size
	j.mu.Unlock()
	if at == 0 {
		return nil, nil
	}
	r.buffer.Reset(io.NewSectionReader(j.file, at, size-at))
	line, err := r.buffer.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read row %d's record in %s: %w", row, j.path, err)
	}
	return line, nil
}

// Result returns a row's record; nil if it has none.
func (r *Reader) Result(row int) (*results.Result, error) {
	line, err := r.Line(row)
	if line == nil {
		return nil, err
	}
	res := new(results.Result)
	if err := json.Unmarshal(line, res); err != nil {
		return nil, fmt.Errorf("read row %d's record in %s: %w", row, r.journal.path, err)
	}
	return res, nil
}
