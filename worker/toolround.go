package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// A round of tool calls. The chat is never asked a second time for it, and each tool runs at most twice:
//
//  1. The chat waits for the outputs of some calls. Their ids and "begun once" are noted in the record, then the tools run.
//     A worker that dies before the note has run nothing; one that dies after it may have run any of them.
//  2. The outputs are noted, then submitted. A worker that dies in between leaves the outputs: no tool runs again.
//  3. The submission's stream is read like a question's. A worker that dies before its reply leaves a chat that has taken
//     the outputs, or has not.
//
// Whoever takes the task over finds the chat in its record and looks it up, see lookup.go. If it still waits for the calls of
// the note, Coze has not taken their outputs: those that were noted are submitted again; without any the tools run again,
// once. If it waits for others, that is the next round. Else it goes on or has ended, and there is nothing to do. The same
// happens within one attempt when a submission fails.

// resubmits is how often one attempt submits the outputs of a round again that Coze has not taken.
const resubmits = 4

// toolRounds run the tools that a chat calls, and submit their outputs.
type toolRounds struct {
	*task
	notes  *notes
	sender *sender

	failed int            // submissions of this round that were not taken
	waits  *backoff.Waits // between submissions, in all rounds; nil: there was none yet
}

// stopped handles a chat that has stopped without completing. It goes on if the tools that it waits for are here. A question
// back is the bot's answer: the next turn goes on.
func (a *attempt) stopped(ctx context.Context, e *coze.Error) (state, error) {
	if a.chat != nil && a.chat.AsksBack() != "" {
		return answered, nil
	}
	if a.tools.awaited(a.chat) != nil {
		if a.round(a.chat) <= a.cfg.ToolRounds {
			return usingTools, nil
		}
		own := *e
		own.Message = fmt.Sprintf("the bot called tools in more than %d rounds", a.cfg.ToolRounds)
		e = &own
	} else if e.Class == coze.ClassAction && len(a.payload.Tools) > 0 && a.cfg.TaskTool == nil {
		own := *e
		own.Message = "the question brings tools along, and this worker has no secrets that sign their calls: set COZEQ_WEBHOOK_SECRETS_FILE"
		e = &own
	}
	return asking, a.ended(ctx, e)
}

// awaited are the calls that the chat waits for, nil unless there is a tool for each. Coze takes outputs only for a chat of
// a bot whose history is saved.
func (t *toolRounds) awaited(chat *coze.Chat) []coze.ToolCall {
	if chat == nil || !historySaved(t.payload) || t.payload.IsChatflow() {
		return nil
	}
	calls := chat.ToolCalls()
	for _, call := range calls {
		if tool, _ := t.tool(call.Function.Name); tool == nil {
			return nil
		}
	}
	return calls
}

// callIDs are sorted: Coze need not list calls twice in the same order.
func callIDs(chat *coze.Chat) (ids []string) {
	for _, call := range chat.ToolCalls() {
		ids = append(ids, call.ID)
	}
	slices.Sort(ids)
	return ids
}

// notedRound is what the record says of the tools of this chat, nil for nothing.
func (t *task) notedRound(chat *coze.Chat) *record.ToolRound {
	if noted := t.rec.Tools; noted != nil && noted.ChatID == chat.ID {
		return noted
	}
	return nil
}

// inRound reports whether the chat waits for the calls that were noted.
func (t *task) inRound(chat *coze.Chat) bool {
	noted := t.notedRound(chat)
	return noted != nil && len(noted.Calls) > 0 && slices.Equal(noted.Calls, callIDs(chat))
}

// round is the number of the round that the chat waits in.
func (t *task) round(chat *coze.Chat) int {
	noted := t.notedRound(chat)
	switch {
	case noted == nil:
		return 1
	case t.inRound(chat):
		return noted.Round
	}
	return noted.Round + 1
}

// useTools gives the chat the outputs that it waits for, and reads on to its answer.
func (a *attempt) useTools(ctx context.Context) (state, error) {
	outputs, err := a.tools.outputs(ctx, a.chat)
	if err != nil {
		return usingTools, err
	}
	said := len(a.chat.Answers())
	err = a.tools.submit(ctx, a.chat, outputs)
	e, ok := errors.AsType[*coze.Error](err)
	switch {
	case err == nil:
		if len(a.chat.Answers()) == said {
			a.chat.Messages = nil // the last message is missing: Coze lists them all
		}
		return answered, a.complete(ctx)
	case !ok || ctx.Err() != nil || errors.Is(err, record.ErrFenced):
		return usingTools, err
	case e.Ended:
		a.rec.Tools.Calls = nil // taken: these are others, also if their ids are the same
		return a.stopped(ctx, e)
	case e.Zone == coze.ZoneCreated:
		a.rec.Tools.Calls = nil
		a.log.Info("stream broke after tools, looking the chat up", "err", err)
		return lookingUp, nil
	}
	return a.resubmit(ctx, e)
}

// resubmit handles outputs of which it is not known that Coze has taken them. The chat says whether it still waits for them.
func (a *attempt) resubmit(ctx context.Context, e *coze.Error) (state, error) {
	a.tools.failed++
	if e.Class != coze.ClassPermanent { // a refusal may be of outputs that were taken
		if a.tools.waits == nil {
			a.tools.waits = pollWaits.Start()
		}
		if err := a.lookup.retry(ctx, a.tools.waits, e); err != nil {
			return usingTools, err
		}
	}
	now, err := a.lookup.poll(ctx)
	switch {
	case err != nil:
		return usingTools, lookUpError(err)
	case !a.inRound(now):
		return lookingUp, nil // it went on
	case e.Class == coze.ClassPermanent:
		err = a.ended(ctx, e)
		a.conversations.forget(ctx) // the chat waits in it for ever
		return usingTools, err
	case a.tools.failed >= resubmits:
		return usingTools, e // the next attempt submits them again
	}
	a.log.Info("Coze did not accept the outputs of tools, submitting them again", "err", e)
	return usingTools, nil
}

// outputs runs the tools of a round, unless the record has their outputs.
func (t *toolRounds) outputs(ctx context.Context, chat *coze.Chat) (map[string]string, error) {
	round := t.notedRound(chat)
	if !t.inRound(chat) {
		next := record.ToolRound{ChatID: chat.ID, Round: t.round(chat), Calls: callIDs(chat), Usage: t.usedBy(chat)}
		round, t.failed = &next, 0
	}
	chat.Usage = nil // it is in the note; what comes is the next round's
	if len(round.Outputs) > 0 {
		return round.Outputs, nil
	}
	round.Begun++
	if err := t.notes.toolRound(ctx, round); err != nil {
		return nil, err
	}
	outputs, calls := make(map[string]string), chat.ToolCalls()
	if round.Begun > maxToolRuns {
		for _, call := range calls {
			_, label := t.tool(call.Function.Name)
			t.cfg.Metrics.ToolCall(label, "abandoned")
			outputs[call.ID] = toolFailure(errToolTwice)
		}
	} else if outputs = t.run(ctx, round.Round, calls); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	noted := *round
	noted.Outputs = outputs
	err := t.notes.toolRound(ctx, &noted)
	switch {
	case errors.Is(err, record.ErrFenced):
		return nil, err
	case err != nil:
		t.log.Warn("could not note the outputs of tools, submitting them all the same", "err", err)
	}
	return outputs, nil
}

// usedBy is what Coze counted for the chat so far: for the rounds that were noted, and what it says now, which is about the
// time since then.
func (t *task) usedBy(chat *coze.Chat) results.Usage {
	var used results.Usage
	if noted := t.notedRound(chat); noted != nil {
		used = noted.Usage
	}
	if u := chat.Usage; u != nil {
		used = used.Plus(results.Usage{TokenCount: u.TokenCount, OutputCount: u.OutputCount, InputCount: u.InputCount})
	}
	return used
}

// submit submits the outputs, and reads what follows into the chat.
func (t *toolRounds) submit(ctx context.Context, chat *coze.Chat, outputs map[string]string) (err error) {
	defer t.spans.Call("coze chat/submit_tool_outputs", t.coze).Done(&err)
	if err := t.calls.permit(ctx); err != nil {
		return err
	}
	var all []coze.ToolOutput
	for _, id := range slices.Sorted(maps.Keys(outputs)) {
		all = append(all, coze.ToolOutput{ToolCallID: id, Output: outputs[id]})
	}
	stream, err := t.coze.SubmitToolOutputs(ctx, t.rec.Result.ConversationID, chat.ID, all)
	if err != nil {
		return err
	}
	return t.sender.read(ctx, stream, chat, nil)
}
