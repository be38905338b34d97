package worker

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/lane"
)

func (a *attempt) place() lane.Place {
	return lane.Place{Lane: a.rec.Result.Lane, Queue: a.rec.Result.Queue, ID: a.id}
}

// turn returns errTurn unless it is this task's turn in its conversation. The task
// then waits far ahead, without a slot, and is run when it becomes the head.
//
// Only the head of a lane is ever pending, so a task that is not the head got here
// by hand (asynqmon's "run now"), or by a producer that knows no lanes; and a lane
// that Redis has lost is built again by its tasks as they come, each at the place
// that its payload remembers.
func (a *attempt) turn(ctx context.Context) error {
	place := a.place()
	if place.Lane == "" {
		return nil
	}
	_, head, err := a.lanes.Rejoin(ctx, place, a.chat.LaneSeq)
	if err != nil {
		return err
	}
	if !head {
		return errTurn
	}
	return nil
}

// leave ends the task's turn and runs the next one's. The next one learns which chat was
// this one's: it may have to tell its own question from one of the same words.
func (a *attempt) leave(ctx context.Context) error {
	place := a.place()
	if place.Lane == "" {
		return nil
	}
	return a.lanes.LeaveAfter(ctx, place, a.rec.Result.ChatID)
}

// answer is the chain: see the package comment.
func (a *attempt) answer(ctx context.Context) (*coze.Chat, error) {
	if err := a.prepare(); err != nil {
		return nil, a.awaitKey(err)
	}
	r := &a.rec.Result
	if a.rec.CancelRequested {
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	if err := a.turn(ctx); err != nil {
		return nil, err
	}
	// Before the first call: whatever it is, its refusal concerns the credential.
	if err := a.calls.identify(ctx); err != nil {
		return nil, err
	}
	if r.ChatID != "" {
		if err := a.placeChat(ctx); err != nil {
			return nil, err
		}
	}
	if r.ChatID != "" {
		return a.lookUp(ctx)
	}
	if !a.rec.AskedAt.IsZero() {
		found, err := a.find(ctx)
		if err != nil {
			return nil, err
		}
		if found {
			return a.lookUp(ctx)
		}
	}
	if !a.chat.ExpiresAt.IsZero() && time.Now().After(a.chat.ExpiresAt) {
		return nil, errExpired
	}
	return a.ask(ctx)
}
