package worker

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

// answer gets the task's answer: from a chat that exists, else from a new one.
func (a *attempt) answer(ctx context.Context) (*coze.Chat, error) {
	if err := a.prepare(); err != nil {
		return nil, a.awaitKey(err)
	}
	if a.rec.CancelRequested {
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	if err := a.turn(ctx); err != nil {
		return nil, err
	}
	// Before the first call, as a refusal of any call concerns the credential.
	if err := a.calls.identify(ctx); err != nil {
		return nil, err
	}
	switch exists, err := a.chatExists(ctx); {
	case err != nil:
		return nil, err
	case exists:
		return a.lookUp(ctx)
	case a.expired():
		return nil, errExpired
	}
	return a.ask(ctx)
}

// turn returns errTurn unless it is this task's turn in its conversation. The task then waits far ahead, without a slot, and
// is run when it becomes the head.
//
// Only the head of a lane is ever pending. A task that is not the head was run by hand ("run now" in asynqmon), or comes from
// a producer that knows no lanes. If Redis has lost a lane, its tasks build it again as they come, each at the place that its
// payload names.
func (a *attempt) turn(ctx context.Context) error {
	place := placeOf(&a.rec.Result)
	if place.Lane == "" {
		return nil
	}
	_, head, err := a.lanes.Rejoin(ctx, place, a.chat.LaneSeq)
	if err == nil && !head {
		err = errTurn
	}
	return err
}

func placeOf(r *results.Result) lane.Place {
	return lane.Place{Lane: r.Lane, Queue: r.Queue, ID: r.ID}
}

// chatExists reports whether the record names a chat of this question, now or after a search at Coze. It is looked up then,
// and nothing is asked.
func (a *attempt) chatExists(ctx context.Context) (bool, error) {
	if a.rec.Result.ChatID != "" {
		if err := a.placeChat(ctx); err != nil {
			return false, err
		}
	}
	if a.rec.Result.ChatID != "" {
		return true, nil
	}
	if a.rec.AskedAt.IsZero() {
		return false, nil
	}
	return a.find(ctx)
}

// untouched reports whether no chat of this task and no question that was sent is known.
func (a *attempt) untouched() bool { return a.rec.Result.ChatID == "" && a.rec.AskedAt.IsZero() }

func (a *attempt) expired() bool {
	return !a.chat.ExpiresAt.IsZero() && time.Now().After(a.chat.ExpiresAt)
}
