package progress

import "time"

// Estimate projects what the rest of an input takes from the questions that were asked.
type Estimate struct {
	Asked int // questions that it is based on
	Rest  int // questions that have to be asked
	Known int // questions that need not be asked: the cache has them, or one question serves several rows

	// Allowed is how many of the rest the budget allows; Rest without a budget.
	Allowed int

	// Tokens of the questions that are allowed, and the range in which they will be in 19 of 20 cases.
	Tokens, TokensLow, TokensHigh int64

	// Question is the time of one question.
	Question, QuestionLow, QuestionHigh time.Duration
	Chain                               int // the turns of the longest conversation
}

// Time is how long the allowed questions take with so many at a time and at most rate a second; 0 = no limit.
func (e *Estimate) Time(concurrency int, rate float64) (likely, low, high time.Duration) {
	of := func(question time.Duration) time.Duration {
		d := question * time.Duration(e.Allowed) / time.Duration(max(1, min(concurrency, e.Allowed)))
		if rate > 0 {
			d = max(d, time.Duration(float64(e.Allowed)/rate*float64(time.Second)))
		}
		return max(d, question*time.Duration(min(e.Chain, e.Allowed)))
	}
	return of(e.Question), of(e.QuestionLow), of(e.QuestionHigh)
}
