package run

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/sink"
)

// TestExplainSink: a command of --on-result that keeps dying ends the run with exit code 1, and the hint says that the answers are
// safe.
func TestExplainSink(t *testing.T) {
	o := &options{output: "out.jsonl"}
	gone := &sink.Error{Command: "./import", Open: 3, Err: errors.New("exit status 1")}
	err := o.explain(fmt.Errorf("hand over: %w", gone))
	code, hint := exitcode.Of(err)
	if code != 1 || !errors.Is(err, gone) || !strings.Contains(hint, "in the journal") || !strings.Contains(hint, "run the same again") {
		t.Errorf("exit code %d, %v, hint %q", code, err, hint)
	}
}
