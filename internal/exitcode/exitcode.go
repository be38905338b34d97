// Package exitcode turns the error that a command ends with into the program's exit code and a hint. Of is the one
// switch that decides; a new exit code or hint goes there. The error types are those that commands end with.
package exitcode

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// The exit codes; help exit-codes explains them.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	SomeFailed  = 3
	Stopped     = 4
	Interrupted = 130
)

// MissingError is a setting that the command cannot do without, with those that it lacks, too.
type MissingError struct {
	What, How string
	Also      *MissingError
	Hint      string
}

func (e *MissingError) Error() string {
	if e.Also == nil {
		return "no " + e.What + ": " + e.How
	}
	return fmt.Sprintf("no %s and no %s\n  %[1]s: %[3]s\n  %[2]s: %[4]s", e.What, e.Also.What, e.How, e.Also.How)
}

// StoppedError is a run that ended early because nothing more can be asked.
type StoppedError struct {
	Class   coze.Class
	Subject string // what alone cannot be asked: a bot; empty: the account
	Err     error  // Coze's word
	Again   string // how to resume
}

func (e *StoppedError) Error() string {
	switch {
	case e.Subject != "":
		return "stopped, " + e.Subject + " cannot be asked: " + e.Err.Error()
	case e.Class == coze.ClassEndpoint, e.Class == coze.ClassTransient:
		return "stopped, " + WayFault(e.Class) + ": " + e.Err.Error()
	case e.Class == coze.ClassQuota:
		return "stopped, the quota is used up: " + e.Err.Error()
	}
	return "stopped, Coze does not accept the token: " + e.Err.Error()
}

func (e *StoppedError) Unwrap() error { return e.Err }

// InterruptedError is a command that a signal has ended.
type InterruptedError struct{ Again string }

func (e *InterruptedError) Error() string { return "interrupted" }

// SomeFailedError reports that the command finished but something in it failed. If Text is
// empty that has been printed already.
type SomeFailedError struct{ Text, Hint string }

func (e *SomeFailedError) Error() string { return e.Text }

// NoWorkerError is a queue without a live worker.
type NoWorkerError struct{ Queue string }

func (e *NoWorkerError) Error() string {
	return fmt.Sprintf("no worker serves queue %q of this redis", e.Queue)
}

// HintedError is an error with advice.
type HintedError struct {
	Err  error
	Hint string
}

func (e *HintedError) Error() string { return e.Err.Error() }
func (e *HintedError) Unwrap() error { return e.Err }

// Of is the one place that turns an error into an exit code and advice.
func Of(err error) (code int, hint string) {
	var (
		misused     *misuse.Error
		missing     *MissingError
		badInput    *input.InvalidInput
		badUse      *usage.Error
		changed     *journal.ChangedError
		invalid     *tasks.InvalidError
		stopped     *StoppedError
		interrupted *InterruptedError
		failed      *SomeFailedError
		noWorker    *NoWorkerError
		redis       *remoteredis.Error
		hinted      *HintedError
		ask         *coze.Error
	)
	switch {
	case err == nil:
		return OK, ""
	case errors.As(err, &interrupted):
		return Interrupted, interrupted.Again
	case errors.As(err, &stopped):
		code := Stopped
		if stopped.Class == coze.ClassEndpoint || stopped.Class == coze.ClassTransient {
			code = Failed
		}
		if errors.As(stopped.Err, &ask) && ask.Hint() != "" {
			return code, ask.Hint() + " Then " + stopped.Again + "."
		}
		return code, stopped.Again
	case errors.As(err, &failed):
		return SomeFailed, failed.Hint
	case errors.As(err, &missing):
		return Usage, missing.Hint
	case errors.As(err, &badInput):
		return Usage, "nothing was asked: fix the input and run the command again"
	case errors.As(err, &changed), errors.As(err, &badUse):
		return Usage, "" // their text has the advice
	case errors.As(err, &misused):
		return Usage, "see '" + misused.Command + " --help'"
	case errors.As(err, &invalid):
		return Usage, ""
	case errors.As(err, &noWorker):
		return Failed, "start one with 'cozeq worker', or add --with-worker to have one in this process"
	case errors.As(err, &redis):
		return Failed, cmp.Or(remoteredis.Hint(err), "check --redis or REDIS_URL, and that the server runs")
	case errors.As(err, &hinted):
		return Failed, hinted.Hint
	case errors.Is(err, results.ErrNotFound):
		return Failed, "check the id and --redis; results are kept for 24h after a task's end, unless --keep said otherwise"
	case errors.Is(err, context.Canceled):
		return Interrupted, ""
	}
	return Failed, remoteredis.Hint(err)
}

// Report says what went wrong and what to do, and returns the exit code.
func Report(s *terminal.Streams, err error) int {
	w := s.Err
	code, hint := Of(err)
	if err == nil {
		return code
	}
	// An error may quote what others have written: a file, a record in Redis, Coze.
	text := terminal.Printable(err.Error())
	if _, ok := errors.AsType[*input.InvalidInput](err); ok {
		fmt.Fprintln(w, text) // lines of file:line: what, which editors can follow
	} else if text != "" {
		fmt.Fprintf(w, "cozeq: %s\n", text)
	}
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", terminal.Printable(s.Translate(hint)))
	}
	return code
}

func WayFault(class coze.Class) string {
	if class == coze.ClassEndpoint {
		return "Coze's API does not answer at the base URL"
	}
	return "Coze is out of reach"
}

// Outcome is nil for an answer and for a question still under way.
func Outcome(r *results.Result) error {
	if r.Status == results.Completed || !r.Status.Terminal() {
		return nil
	}
	e := &SomeFailedError{Text: string(r.Status)}
	if r.Error != nil {
		e.Text += ": " + r.Error.Error()
		e.Hint = r.Error.Hint
	}
	return e
}

// Unreadable is the error for a result that is encrypted, and cannot be read here.
func Unreadable(r *results.Result) error { return fmt.Errorf("the result is %w", r.Sealed) }
