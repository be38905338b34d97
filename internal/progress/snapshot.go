// Package progress counts how far a run or a detached batch has come: what has ended and how, what waits for what, tokens,
// rates and the time that is left.
package progress

import "time"

// Snapshot is how far a run or a detached batch has come. Unknown fields are zero.
type Snapshot struct {
	Total  int // rows of the input; 0 during its check
	Done   int // rows that have a record, of earlier runs too
	Failed int // of these, without an answer: failed, canceled, expired
	Cached int // of these, answered from the cache

	// Failures counts what Failed counts by class, the most frequent first.
	Failures []ClassCount

	// Of the rest, the open rows:
	Enqueued int   // given to the queue, at most the window, and rows that wait for the answer to one of them
	InFlight int   // of these, chats at Coze
	Queued   int   // of these, in the queue
	Waiting  Waits // of these, by what they wait for

	Tokens, TokensIn, TokensOut int64 // of all records; in and out may sum up to less: a .csv has only their sum
	Counted                     int   // the questions in Tokens

	Rate    float64       // records a second, over the last ten seconds; those from the cache do not count
	Mean    float64       // the same, since the beginning
	Left    time.Duration // until all have ended, by the last minute's rate
	Elapsed time.Duration // since the run began, or the batch was created
}

// Open is how many rows have no record yet.
func (s *Snapshot) Open() int { return s.Total - s.Done }

// ClassCount counts failures of one class.
type ClassCount struct {
	Class string
	Count int
}

// SnapshotEvery is the least time between two calls of OnSnapshot: what people can follow.
const SnapshotEvery = 100 * time.Millisecond
