package progress

import "time"

// Summary is the result of a run, over all rows that have a record.
type Summary struct {
	Rows int // of the input

	Answered int // completed
	Failed   int
	Canceled int
	Expired  int

	// Resumed of these were there when the run began, Asked came from Coze now.
	Resumed int
	Asked   int

	Cached int // answered from the cache, in earlier runs too

	AsksBack int // answered with a question of the bot's

	Doubtful int // marked possible_duplicate: Coze may have been asked, and have billed, twice

	// AlreadyComplete is true if OUTPUT was complete before, so nothing was done.
	AlreadyComplete bool

	// Failures counts the rows without an answer by kind, the most frequent first.
	Failures []FailureCount

	// Tokens is what Coze counted for all chats that OUTPUT and its journal know: failed ones included, answers from the
	// cache not. In and out sum up to less if some of it was read from a table, which has only the total.
	Tokens, TokensIn, TokensOut int64

	// Elapsed is the time of this run; Mean and P95 are that of one question from its start to its end, over all records
	// with both. P95 is exact to 10 %.
	Elapsed   time.Duration
	Mean, P95 time.Duration

	// Estimate projects the rest from a sample; nil if there was none.
	Estimate *Estimate

	Output  string // "" = stdout
	Journal string // from which the run resumes; "" once OUTPUT is complete, and with stdout
}

// FailureCount counts one kind of failure, with an example.
type FailureCount struct {
	Class string
	Code  int // Coze's; 0 = none
	Count int

	CustomID string // of the first row with it
	Message  string
	Hint     string
}

func (s *Summary) Done() int { return s.Answered + s.Failed + s.Canceled + s.Expired }
