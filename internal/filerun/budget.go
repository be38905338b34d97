package filerun

import (
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
)

// BudgetError ends a run whose budget is used up while questions are left.
type BudgetError struct {
	What  string // BudgetTokens or BudgetQuestions
	Limit int64
	Used  int64 // tokens: more than Limit if the last chats in flight cost more than was left
}

// Values of BudgetError.What.
const (
	BudgetTokens    = "tokens"
	BudgetQuestions = "questions"
)

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the budget of %d %s is used up", e.Limit, e.What)
}

// ErrSampled ends a run that asked a sample only, with questions left.
var ErrSampled = errors.New("only a sample was asked")

// errLeft cannot happen: it would mean that OUTPUT is written without each row's record.
var errLeft = errors.New("there are questions without a record")

// errNotAllRead ends a run whose live input was not read to its end. What has cut it short says more.
var errNotAllRead = errors.New("the input was not read to its end")

// budget is for OUTPUT as a whole: earlier runs in its journal count. When it is used up nothing more is asked, and what is
// in flight ends. The journal stays, so that a run with a larger budget resumes.
type budget struct {
	maxQuestions int // 0 = no bound
	maxTokens    int64

	questions int          // rows given to the queue, in earlier runs too, each as often as it was
	open      int          // of these, rows of this run without a record
	begun     map[int]bool // rows whose chats an earlier run has left: they are paid for and counted
	reached   *BudgetError
}

// firstGuess is the expected cost of a question, in tokens, before the first answer: a short one takes some 500, one to a
// bot with a knowledge base a few thousand.
const firstGuess = 1000

// verdict says whether the budget allows one more question.
type verdict int

const (
	allowed verdict = iota
	refused
	undecided // until it is known what the chats in flight cost
)

// take decides about one more question, and counts it if it is allowed. Under a budget of tokens there are never more
// questions in the queue than it probably pays for: all of them would be asked, even after the budget is used up, so it is
// exceeded only by little.
func (b *budget) take(begun bool, t *progress.Tally) verdict {
	expected := float64(firstGuess)
	if t.Cost.N > 0 {
		expected = t.Cost.Mean()
	}
	switch {
	case begun:
	case b.maxQuestions > 0 && b.questions >= b.maxQuestions:
		b.reached = &BudgetError{What: BudgetQuestions, Limit: int64(b.maxQuestions)}
		return refused
	case b.maxTokens > 0 && t.Tokens >= b.maxTokens:
		b.reached = &BudgetError{What: BudgetTokens, Limit: b.maxTokens}
		return refused
	case b.maxTokens > 0 && b.open > 0 && float64(t.Tokens)+float64(b.open+1)*expected > float64(b.maxTokens):
		return undecided
	}
	b.open++
	if !begun {
		b.questions++
	}
	return allowed
}

// settle counts a row that has ended.
func (b *budget) settle(res *results.Result) {
	b.open--
	if !progress.WasAsked(res) {
		b.questions--
	}
}

// unfinished says why rows have no record; nil = all have one.
func (r *run) unfinished() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	reached := r.budget.reached
	switch {
	case r.job.Input.Live() && !r.fed && reached == nil:
		return errNotAllRead
	case r.tally.Done() == r.total:
		return nil
	case reached != nil:
		reached.Used = int64(r.budget.questions)
		if reached.What == BudgetTokens {
			reached.Used = r.tally.Tokens
		}
		return reached
	case r.job.Sample > 0:
		return ErrSampled
	}
	return errLeft
}
