package progress

import "time"

// Estimate is what the rest of an input will probably take, by the questions that were asked so far.
type Estimate struct {
	Asked int // questions that it rests on
	Rest  int // questions that have to be asked
	Known int // questions that need not: the cache has them, or they are asked once for several rows

	// Allowed is how many of the rest the budget allows; Rest where there is none.
	Allowed int

	// Tokens of the questions that are allowed, and the range in which they will be in 19 of 20 cases.
	Tokens, TokensLow, TokensHigh int64

	// Question is what one takes, and Chain what the longest conversation does, turn by turn.
	Question, QuestionLow, QuestionHigh time.Duration
	Chain                               int // its turns
}

// Time is how long the questions that are allowed will take if so many are asked at a time and no more than rate a
// second, 0 = as many as there are.
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
