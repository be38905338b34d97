package progress

import "time"

// Summary is what a run has come to, over all rows that have a record.
type Summary struct {
	Rows int // of the input

	Answered int // completed
	Failed   int
	Canceled int
	Expired  int

	// Resumed of these records were there when the run began, Asked came from Coze now.
	Resumed int
	Asked   int

	Cached int // answered from the cache, in earlier runs too

	Doubtful int // marked possible_duplicate: Coze may have been asked, and have billed, twice

	// AlreadyComplete is true where OUTPUT was complete before, so nothing was done.
	AlreadyComplete bool

	// Failures counts what did not get an answer, the most frequent first.
	Failures []FailureCount

	// Tokens is what Coze counted for all chats, as far as OUTPUT and its journal tell: those that got no answer
	// included, answers from the cache not. In and out sum up to less where some of it is known from a table only.
	Tokens, TokensIn, TokensOut int64

	// Elapsed is the time that this run took; Mean and P95 are what one question took from its start to its end,
	// over all records that tell. P95 is exact to 10 %.
	Elapsed   time.Duration
	Mean, P95 time.Duration

	// Estimate is what the rest will take, where only a sample was to be asked; else nil.
	Estimate *Estimate

	Output  string // "" = stdout
	Journal string // where the run goes on; "" once OUTPUT is complete, and with stdout
}

// FailureCount counts one kind of failure, with an example.
type FailureCount struct {
	Class string
	Code  int // Coze's; 0 = none
	Count int

	CustomID string // of the first row that had it
	Message  string
	Hint     string
}

// Done is the number of rows that have a record.
func (s *Summary) Done() int { return s.Answered + s.Failed + s.Canceled + s.Expired }
