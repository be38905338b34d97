package main

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
)

// runEnd is all that a run says at its end.
type runEnd struct {
	progress.Summary
	bounds   runBounds
	pace     pace // for an estimate
	cache    *answercache.Size
	cacheErr error
	err      error // what follows; nil: it went well
}

// print says it to people, on stderr. How it ended and what to do follows with the
// error.
func (c *runEnd) print(s *terminal.Streams) error {
	if err := printSummary(s, c.Summary); err != nil {
		return err
	}
	var b strings.Builder
	if size := c.cache; size != nil {
		least := ""
		if size.More {
			least = "at least "
		}
		fmt.Fprintf(&b, "  cache: %s%s answers, %s in %s\n", least, terminal.Count(size.Answers), terminal.Bytes(uint64(size.Bytes)), size.Dir)
	}
	if c.cacheErr != nil {
		fmt.Fprintf(&b, "  answers could not be kept: %v\n", c.cacheErr)
	}
	if c.Estimate != nil {
		printEstimate(&b, c.Estimate, c.pace, c.bounds)
		if c.err == nil && c.Journal != "" {
			b.WriteString("  the same command without --estimate asks the rest: what is answered is not asked again\n")
		}
	}
	_, err := fmt.Fprint(s.Err, b.String())
	return err
}

// record is it for programs.
func (c *runEnd) record() summaryJSON {
	r := summaryRecord(c.Summary)
	r.Estimate = estimateRecord(c.Estimate, c.pace)
	if size := c.cache; size != nil {
		r.Cache = &cacheJSON{Dir: size.Dir, Answers: size.Answers, Bytes: size.Bytes, More: size.More}
		if c.cacheErr != nil {
			r.Cache.Error = c.cacheErr.Error()
		}
	}
	if c.err != nil {
		r.Stopped = c.err.Error()
		_, r.Next = exitcode.Of(c.err)
	}
	return r
}

// draining is said at the first signal, as after a second one there is no time for it.
func (c *runCommand) draining() string {
	text := fmt.Sprintf("interrupted; chats in flight may end, for up to %v: interrupt again to stop at once", c.drain)
	if c.output != "" {
		text += "; the same command goes on after either"
	}
	return text
}
