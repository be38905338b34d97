package tasks

import (
	"context"
	"iter"
	"sync"

	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

// Piece is a step of an answer on its way: see [Client.Stream].
type Piece struct {
	Text      string // the next part of the answer
	Reasoning string // the next part of the model's reasoning, which mostly comes before the answer

	// Restart is true if the answer begins again, as another worker has taken the task over:
	// forget the pieces before this one.
	Restart bool

	// Result is set in the last piece: the task has ended.
	Result *results.Result
}

// Stream yields the answer of a task while it is written. The task must have been enqueued
// with [Chat.Stream]; of any other there is only the last piece, with the result. The pieces
// of a task are kept as long as its result, so a stream can begin late or once more. Of a very
// long answer the first pieces may be gone; the answer in the result is complete.
//
// Errors are those of [Client.Wait]. With the error of a task that has failed comes the last
// piece. All streams of a client share one connection to Redis.
func (c *Client) Stream(ctx context.Context, id string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		hub := c.streams.open(c.Results())
		defer c.streams.close()
		for e, err := range hub.Watch(ctx, id, "") {
			switch {
			case err != nil && ctx.Err() != nil:
				yield(Piece{}, &UnfinishedError{id, context.Cause(ctx)})
				return
			case err != nil:
				yield(Piece{}, err)
				return
			case e.Type == watch.End:
				yield(Piece{Result: e.Result}, e.Result.Err())
				return
			}
			piece := Piece{Text: e.Text, Restart: e.Type == watch.Reset}
			if e.Type == watch.Reasoning {
				piece = Piece{Reasoning: e.Text}
			}
			if piece != (Piece{}) && !yield(piece, nil) {
				return
			}
		}
	}
}

// streams is the hub of a client's streams. A client is not closed, so the hub is there as long as a stream is.
type streams struct {
	mu  sync.Mutex
	n   int
	hub *watch.Hub
}

func (s *streams) open(store *results.Store) *watch.Hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; s.hub == nil {
		s.hub = watch.New(store)
	}
	return s.hub
}

func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n--; s.n == 0 {
		_ = s.hub.Close() // nobody hears it any more
		s.hub = nil
	}
}
