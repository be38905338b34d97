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
// Whoever takes the task over finds the chat in its record and looks it up, see poll.go. If it still waits for the calls of
// the note, Coze has not taken their outputs: those that were noted are submitted again; without any the tools run again,
// once. If it waits for others, that is the next round. Else it goes on or has ended, and there is nothing to do. The same
// happens within one attempt when a submission fails.

// resubmits is how often one attempt submits the outputs of a round again that Coze has not taken.
const resubmits = 4

// submits are an attempt's submissions of outputs.
type submits struct {
	failed int            // those of this round that were not taken
	waits  *backoff.Waits // between them, in all rounds; nil: there was none yet
}

func (s *submits) wait() *backoff.Waits {
	if s.waits == nil {
		s.waits = pollWaits.Start()
	}
	return s.waits
}

// stopped handles a chat that has stopped without completing. It goes on if the tools that it waits for are here. A question
// back is the bot's answer: the next turn goes on.
func (a *attempt) stopped(ctx context.Context, chat *coze.Chat, e *coze.Error) (*coze.Chat, error) {
	if chat != nil && chat.AsksBack() != "" {
		return chat, nil
	}
	if calls := a.toolCalls(chat); calls != nil {
		if a.round(chat) <= a.cfg.ToolRounds {
			return a.useTools(ctx, chat, calls)
		}
		own := *e
		own.Message = fmt.Sprintf("the bot called tools in more than %d rounds", a.cfg.ToolRounds)
		e = &own
	} else if e.Class == coze.ClassAction && len(a.chat.Tools) > 0 && a.cfg.TaskTool == nil {
		own := *e
		own.Message = "the question brings tools along, and this worker has no secrets that sign their calls: set COZEQ_WEBHOOK_SECRETS_FILE"
		e = &own
	}
	return nil, a.ended(ctx, e)
}

// toolCalls are the calls that the chat waits for, nil unless there is a tool for each. Coze takes outputs only for a chat of
// a bot whose history is saved.
func (a *attempt) toolCalls(chat *coze.Chat) []coze.ToolCall {
	if chat == nil || !historySaved(a.chat) || a.chat.IsChatflow() {
		return nil
	}
	calls := chat.ToolCalls()
	for _, call := range calls {
		if tool, _ := a.tool(call.Function.Name); tool == nil {
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
func (a *attempt) notedRound(chat *coze.Chat) *record.ToolRound {
	if t := a.rec.Tools; t != nil && t.ChatID == chat.ID {
		return t
	}
	return nil
}

// inRound reports whether the chat waits for the calls that were noted.
func (a *attempt) inRound(chat *coze.Chat) bool {
	t := a.notedRound(chat)
	return t != nil && len(t.Calls) > 0 && slices.Equal(t.Calls, callIDs(chat))
}

// round is the number of the round that the chat waits in.
func (a *attempt) round(chat *coze.Chat) int {
	t := a.notedRound(chat)
	switch {
	case t == nil:
		return 1
	case a.inRound(chat):
		return t.Round
	}
	return t.Round + 1
}

// useTools gives a chat the outputs that it waits for, and returns it when it has its answer.
func (a *attempt) useTools(ctx context.Context, chat *coze.Chat, calls []coze.ToolCall) (*coze.Chat, error) {
	outputs, err := a.outputs(ctx, chat, calls)
	if err != nil {
		return nil, err
	}
	said := len(chat.Answers())
	err = a.submit(ctx, chat, outputs)
	e, ok := errors.AsType[*coze.Error](err)
	switch {
	case err == nil:
		if len(chat.Answers()) == said {
			chat.Messages = nil // the last message is missing: Coze lists them all
		}
		return a.complete(ctx, chat)
	case !ok || ctx.Err() != nil || errors.Is(err, record.ErrFenced):
		return nil, err
	case e.Ended:
		a.rec.Tools.Calls = nil // taken: these are others, also if their ids are the same
		return a.stopped(ctx, chat, e)
	case e.Zone == coze.ZoneCreated:
		a.rec.Tools.Calls = nil
		a.log.Info("stream broke after tools, looking the chat up", "err", err)
		return a.lookUp(ctx)
	}
	return a.resubmit(ctx, chat, calls, e)
}

// resubmit handles outputs of which it is not known that Coze has taken them. The chat says whether it still waits for them.
func (a *attempt) resubmit(ctx context.Context, chat *coze.Chat, calls []coze.ToolCall, e *coze.Error) (*coze.Chat, error) {
	a.submits.failed++
	again := a.submits.failed < resubmits
	if e.Class != coze.ClassPermanent { // a refusal may be of outputs that were taken
		if err := a.retryLookup(ctx, a.submits.wait(), e); err != nil {
			return nil, err
		}
	}
	now, err := a.poll(ctx)
	switch {
	case err != nil:
		return nil, lookUpError(err)
	case !a.inRound(now):
		return a.lookUp(ctx) // it went on
	case e.Class == coze.ClassPermanent:
		err = a.ended(ctx, e)
		a.forgetConversation(ctx) // the chat waits in it for ever
		return nil, err
	case !again:
		return nil, e // the next attempt submits them again
	}
	a.log.Info("Coze did not accept the outputs of tools, submitting them again", "err", e)
	return a.useTools(ctx, chat, calls)
}

// outputs runs the tools of a round, unless the record has their outputs.
func (a *attempt) outputs(ctx context.Context, chat *coze.Chat, calls []coze.ToolCall) (map[string]string, error) {
	round := a.notedRound(chat)
	if !a.inRound(chat) {
		next := record.ToolRound{ChatID: chat.ID, Round: a.round(chat), Calls: callIDs(chat), Usage: a.usedBy(chat)}
		round, a.submits.failed = &next, 0
	}
	chat.Usage = nil // it is in the note; what comes is the next round's
	if len(round.Outputs) > 0 {
		return round.Outputs, nil
	}
	round.Begun++
	if err := a.noteTools(ctx, round); err != nil {
		return nil, err
	}
	outputs := make(map[string]string)
	if round.Begun > maxToolRuns {
		for _, call := range calls {
			_, label := a.tool(call.Function.Name)
			a.cfg.Metrics.ToolCall(label, "abandoned")
			outputs[call.ID] = toolFailure(errToolTwice)
		}
	} else if outputs = a.runTools(ctx, round.Round, calls); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	noted := *round
	noted.Outputs = outputs
	err := a.noteTools(ctx, &noted)
	switch {
	case errors.Is(err, record.ErrFenced):
		return nil, err
	case err != nil:
		a.log.Warn("could not note the outputs of tools, submitting them all the same", "err", err)
	}
	return outputs, nil
}

// usedBy is what Coze counted for the chat so far: for the rounds that were noted, and what it says now, which is about the
// time since then.
func (a *attempt) usedBy(chat *coze.Chat) results.Usage {
	var used results.Usage
	if t := a.notedRound(chat); t != nil {
		used = t.Usage
	}
	if u := chat.Usage; u != nil {
		used = used.Plus(results.Usage{TokenCount: u.TokenCount, OutputCount: u.OutputCount, InputCount: u.InputCount})
	}
	return used
}

// submit submits the outputs, and reads what follows into the chat.
func (a *attempt) submit(ctx context.Context, chat *coze.Chat, outputs map[string]string) (err error) {
	defer a.spans.Call("coze chat/submit_tool_outputs", a.coze).Done(&err)
	if err := a.calls.permit(ctx); err != nil {
		return err
	}
	var all []coze.ToolOutput
	for _, id := range slices.Sorted(maps.Keys(outputs)) {
		all = append(all, coze.ToolOutput{ToolCallID: id, Output: outputs[id]})
	}
	stream, err := a.coze.SubmitToolOutputs(ctx, a.rec.Result.ConversationID, chat.ID, all)
	if err != nil {
		return err
	}
	return a.read(ctx, stream, chat, nil)
}
