package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// The exit codes; help exit-codes explains them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitSomeFailed  = 3
	exitStopped     = 4
	exitInterrupted = 130
)

// missingError is a setting that the command cannot do without, with those that it lacks, too.
type missingError struct {
	what, how string
	also      *missingError
	hint      string
}

func (e *missingError) Error() string {
	if e.also == nil {
		return "no " + e.what + ": " + e.how
	}
	return fmt.Sprintf("no %s and no %s\n  %[1]s: %[3]s\n  %[2]s: %[4]s", e.what, e.also.what, e.how, e.also.how)
}

// stoppedError is a run that ended early because nothing more can be asked.
type stoppedError struct {
	class   coze.Class
	subject string // what alone cannot be asked: a bot; empty: the account
	err     error  // Coze's word
	again   string // how to go on
}

func (e *stoppedError) Error() string {
	switch {
	case e.subject != "":
		return "stopped, " + e.subject + " cannot be asked: " + e.err.Error()
	case e.class == coze.ClassEndpoint, e.class == coze.ClassTransient:
		return "stopped, " + wayFault(e.class) + ": " + e.err.Error()
	case e.class == coze.ClassQuota:
		return "stopped, the quota is used up: " + e.err.Error()
	}
	return "stopped, Coze does not accept the token: " + e.err.Error()
}

func (e *stoppedError) Unwrap() error { return e.err }

// interruptedError is a signal heeded.
type interruptedError struct{ again string }

func (e *interruptedError) Error() string { return "interrupted" }

// someFailedError is work done in which not all went well; what failed has been
// said already where text is empty.
type someFailedError struct{ text, hint string }

func (e *someFailedError) Error() string { return e.text }

// noWorkerError is a queue that nobody serves.
type noWorkerError struct{ queue string }

func (e *noWorkerError) Error() string {
	return fmt.Sprintf("no worker serves queue %q of this redis", e.queue)
}

// hintedError is an error that whoever made it has advice for.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// judge is the one place that turns an error into an exit code and advice.
func judge(err error) (code int, hint string) {
	var (
		misused     *usageError
		missing     *missingError
		badInput    *input.InvalidInput
		badUse      *usage.Error
		changed     *journal.ChangedError
		invalid     *tasks.InvalidError
		stopped     *stoppedError
		interrupted *interruptedError
		failed      *someFailedError
		noWorker    *noWorkerError
		redis       *redisError
		hinted      *hintedError
		ask         *coze.Error
	)
	switch {
	case err == nil:
		return exitOK, ""
	case errors.As(err, &interrupted):
		return exitInterrupted, interrupted.again
	case errors.As(err, &stopped):
		code := exitStopped
		if stopped.class == coze.ClassEndpoint || stopped.class == coze.ClassTransient {
			code = exitError
		}
		if errors.As(stopped.err, &ask) && ask.Hint() != "" {
			return code, ask.Hint() + " Then " + stopped.again + "."
		}
		return code, stopped.again
	case errors.As(err, &failed):
		return exitSomeFailed, failed.hint
	case errors.As(err, &missing):
		return exitUsage, missing.hint
	case errors.As(err, &badInput):
		return exitUsage, "nothing was asked: mend the input and run the command again"
	case errors.As(err, &changed), errors.As(err, &badUse):
		return exitUsage, "" // they say it themselves
	case errors.As(err, &misused):
		return exitUsage, "see '" + misused.command + " --help'"
	case errors.As(err, &invalid):
		return exitUsage, ""
	case errors.As(err, &noWorker):
		return exitError, "start one with 'cozeq worker', or add --with-worker to have one in this process"
	case errors.As(err, &redis):
		return exitError, cmp.Or(redisHint(err), "check --redis or REDIS_URL, and that the server runs")
	case errors.As(err, &hinted):
		return exitError, hinted.hint
	case errors.Is(err, results.ErrNotFound):
		return exitError, "check the id and --redis; results are kept for 24h after a task's end, unless --keep said otherwise"
	case errors.Is(err, context.Canceled):
		return exitInterrupted, ""
	}
	return exitError, redisHint(err)
}

// report says what went wrong and what to do, and returns the exit code.
func report(s *streams, err error) int {
	w := s.Err
	code, hint := judge(err)
	if err == nil {
		return code
	}
	// An error may quote what others have written: a file, a record in Redis, Coze.
	text := printable(err.Error())
	if _, ok := errors.AsType[*input.InvalidInput](err); ok {
		fmt.Fprintln(w, text) // lines of file:line: what, which editors can follow
	} else if text != "" {
		fmt.Fprintf(w, "cozeq: %s\n", text)
	}
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", printable(s.hint(hint)))
	}
	return code
}

// wayFault says what is wrong with the way to Coze.
func wayFault(class coze.Class) string {
	if class == coze.ClassEndpoint {
		return "Coze's API does not answer at the base URL"
	}
	return "Coze is out of reach"
}

// outcome is nil for an answer and for a question still under way.
func outcome(r *results.Result) error {
	if r.Status == results.Completed || !r.Status.Terminal() {
		return nil
	}
	e := &someFailedError{text: string(r.Status)}
	if r.Error != nil {
		e.text += ": " + r.Error.Error()
		e.hint = r.Error.Hint
	}
	return e
}

// unreadable is the error for a result that is encrypted, and cannot be read here.
func unreadable(r *results.Result) error { return fmt.Errorf("the result is %w", r.Sealed) }
