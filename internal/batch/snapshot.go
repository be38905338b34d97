package batch

import "time"

// Snapshot is how far a run or a detached batch has come. What is not known is zero.
type Snapshot struct {
	Total  int // rows of the input; 0 while it is still checked
	Done   int // rows that have a record, of earlier runs too
	Failed int // of these, without an answer: failed, canceled, expired
	Cached int // of these, answered from the cache

	// Failures counts what Failed counts by class, the most frequent first.
	Failures []ClassCount

	// InFlight rows are in the queue or being asked. Where it is known which, it is the sum of the three below.
	InFlight int
	Running  int // being asked
	Queued   int // in the queue
	Waiting  Waits

	Tokens, TokensIn, TokensOut int64 // of all records; in and out may sum up to less: a .csv has only their sum
	Counted                     int   // the questions that Tokens are of

	Rate    float64       // records a second, over the last ten seconds; those from the cache do not count
	Mean    float64       // the same, since the beginning
	Left    time.Duration // until all have ended, by the last minute's rate
	Elapsed time.Duration // since Run was called, or the batch was made
}

// ClassCount counts failures of one class.
type ClassCount struct {
	Class string
	Count int
}

// snapshotEvery is the least time between two calls of OnSnapshot: what an eye can follow.
const snapshotEvery = 100 * time.Millisecond
