package filerun

import (
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
)

// A budget is for OUTPUT as a whole: what its journal has of earlier runs counts. When it is reached no more is asked,
// and what is in flight ends. The journal stays, so that a run with a higher one goes on.

// BudgetError ends a run that has come to the end of its budget with questions left.
type BudgetError struct {
	What  string // BudgetTokens or BudgetQuestions
	Limit int64
	Used  int64 // tokens: those in flight may cost more than there was left
}

// Values of BudgetError.What.
const (
	BudgetTokens    = "tokens"
	BudgetQuestions = "questions"
)

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the budget of %d %s is used up", e.Limit, e.What)
}

// ErrSampled ends a run that was to ask a sample only, with questions left.
var ErrSampled = errors.New("only a sample was asked")

// errLeft cannot happen: it stands where OUTPUT would be written without each row's record.
var errLeft = errors.New("there are questions without a record")

// budget is what has been asked.
type budget struct {
	questions int          // rows given to the queue, in earlier runs too, each as often as it was
	open      int          // of these, so many of this run have no record yet
	flying    map[int]bool // rows whose chats an earlier run has left: they are paid for, and counted
	reached   *BudgetError
}

// settle takes a row into account that has ended.
func (b *budget) settle(res *results.Result) {
	b.open--
	if !progress.WasAsked(res) {
		b.questions--
	}
}

// firstGuess is what a question is taken to cost, in tokens, as long as no answer has told: a short one takes some 500,
// one to a bot with a knowledge base a few thousand.
const firstGuess = 1000

// Verdicts on one more question.
const (
	affordYes = iota
	affordNo
	affordLater // when it is known what those in flight have cost
)

// weigh decides about one more question; r.mu is held. Under a budget of tokens there are never more questions enqueued
// than it probably pays for. They would all be asked, even if Redis held the whole window of them when the budget is
// reached: so it is passed by little, whoever does the work.
func (r *run) weigh() int {
	b := &r.budget
	switch {
	case r.MaxQuestions > 0 && b.questions >= r.MaxQuestions:
		b.reached = &BudgetError{What: BudgetQuestions, Limit: int64(r.MaxQuestions), Used: int64(b.questions)}
		return affordNo
	case r.MaxTokens > 0 && r.tally.Tokens >= r.MaxTokens:
		b.reached = &BudgetError{What: BudgetTokens, Limit: r.MaxTokens, Used: r.tally.Tokens}
		return affordNo
	case r.MaxTokens > 0 && b.open > 0 && float64(r.tally.Tokens)+float64(b.open+1)*r.expected() > float64(r.MaxTokens):
		return affordLater
	}
	return affordYes
}

// expected is what one question will probably cost.
func (r *run) expected() float64 {
	if r.tally.Cost.N == 0 {
		return firstGuess
	}
	return r.tally.Cost.Mean()
}

// afford reports whether a row may be asked, and takes it into account. It waits where that depends on the answers that
// are on their way.
func (d *dueRows) afford(ctx context.Context, row *input.Row) (bool, error) {
	if d.isCanceled() {
		return true, nil // it ends without being asked
	}
	begun := d.budget.flying[row.N]
	delete(d.budget.flying, row.N)
	for {
		d.mu.Lock()
		verdict := affordYes
		if !begun {
			verdict = d.weigh()
		}
		if verdict == affordYes {
			d.budget.open++
			if !begun {
				d.budget.questions++
			}
		}
		d.mu.Unlock()
		if verdict != affordLater {
			return verdict == affordYes, nil
		}
		if err := d.await(ctx); err != nil {
			return false, err
		}
	}
}

// unfinished says why rows are left without a record; nil = none is.
func (r *run) unfinished() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.Input.Live() && !r.fed && r.budget.reached == nil:
		return errNotAllRead
	case r.tally.Done() == r.total:
		return nil
	case r.budget.reached != nil:
		r.budget.reached.Used = int64(r.budget.questions)
		if r.budget.reached.What == BudgetTokens {
			r.budget.reached.Used = r.tally.Tokens
		}
		return r.budget.reached
	case r.Sample > 0:
		return ErrSampled
	}
	return errLeft
}
