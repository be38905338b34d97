package worker

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// A workflow's run takes the way of a chat: permit, asked note, verdict, settle. Its execute_id stands where a chat's id
// does, in the record and in memory. Three things differ:
//
//   - It is run asynchronously, so that Coze names it at once. A death after that is looked up by the execute_id (lookUpRun).
//   - Between the asked note and the execute_id nobody can search for it, as a run is in no conversation. It is run again,
//     and the record says possible_duplicate: see find. The window is one round trip to Coze.
//   - If its pieces are wanted, or the account's plan has no asynchronous runs (code 6003), it is streamed. Coze names a
//     streamed run only at its end, so the window is as long as the run.
//
// Coze has no call that cancels a run. A canceled task leaves its run behind, which is billed.

// codeNoAsync is Coze's answer to an asynchronous run on a free plan.
const codeNoAsync = 6003

// syncOnly are the credentials whose plan has no asynchronous runs, as far as this process has learnt it.
type syncOnly struct{ credentials sync.Map }

func (s *syncOnly) note(credential string) { s.credentials.Store(credential, true) }

func (s *syncOnly) has(credential string) bool {
	_, ok := s.credentials.Load(credential)
	return ok
}

// run runs the task's workflow to its end.
func (a *attempt) run(ctx context.Context) (*coze.Chat, error) {
	if a.chat.Stream || a.calls.syncOnly.has(a.calls.credential) {
		return a.streamRun(ctx)
	}
	run, err := a.startRun(ctx)
	if e, ok := errors.AsType[*coze.Error](err); ok && e.Code == codeNoAsync && e.Zone == coze.ZoneRefused && a.chat.Resume == nil {
		a.calls.syncOnly.note(a.calls.credential)
		a.log.Info("the plan has no asynchronous runs: workflows are streamed, and a run that is cut cannot be looked up")
		return a.streamRun(ctx)
	}
	if err != nil {
		return nil, err
	}
	if run.ExecuteID != "" {
		if err := a.created(ctx, &coze.Chat{ID: run.ExecuteID}, run.LogID); err != nil {
			return nil, err
		}
	}
	if run.Over() {
		return a.runEnded(run)
	}
	if run, err = a.pollRun(ctx); err != nil {
		return nil, lookUpError(err)
	}
	return a.runEnded(run)
}

// startRun begins the run, or goes on with the one that the task resumes.
func (a *attempt) startRun(ctx context.Context) (run *coze.WorkflowRun, err error) {
	defer a.spans.Call("coze workflow/run", a.coze).Done(&err)
	a.hold.sending.Store(true)
	defer a.hold.sending.Store(false)
	note := a.note(ctx, "")
	defer note.close()
	if a.chat.Resume != nil {
		return a.coze.ResumeWorkflow(ctx, a.resumeRequest(note))
	}
	request := a.runRequest(note)
	request.IsAsync = true
	return a.coze.RunWorkflow(ctx, request)
}

// streamRun runs the workflow and publishes what its nodes say.
func (a *attempt) streamRun(ctx context.Context) (chat *coze.Chat, err error) {
	defer a.spans.Call("coze workflow/stream_run", a.coze).Done(&err)
	a.hold.sending.Store(true)
	defer a.hold.sending.Store(false)
	note := a.note(ctx, "")
	var stream *coze.WorkflowStream
	if a.chat.Resume != nil {
		stream, err = a.coze.StreamResume(ctx, a.resumeRequest(note))
	} else {
		stream, err = a.coze.StreamWorkflow(ctx, a.runRequest(note))
	}
	note.close()
	if err != nil {
		return nil, err
	}
	a.rec.LogID = stream.LogID()
	a.deltas = newDeltaWriter(ctx, a.rec, a.publisher, a.chat.Stream)
	defer a.deltas.close()
	said, speaker := "", "" // what was published, and which message was last
	for event, err := range stream.Events() {
		// Once other nodes have spoken, the pieces are not the answer: the end node's comes whole, see streamedRun.
		if m := event.Message; m != nil && m.Text != "" && !(m.End && said != "" && speaker != endSpeaker) {
			id := cmp.Or(m.ExecutedAs, m.NodeID, m.Node)
			if m.End {
				id = endSpeaker
			}
			if speaker != "" && speaker != id {
				said += "\n" // as deltaWriter does
			}
			a.deltas.write(&coze.Message{ID: id, Type: coze.MessageAnswer, Content: m.Text})
			said, speaker = said+m.Text, id
		}
		if event.Run != nil {
			return a.streamedRun(ctx, event.Run, said)
		}
		if err != nil {
			a.events.came = stream.Began()
			a.keepPartial(outcomeOf(stream.Run()))
			return nil, err
		}
	}
	return nil, coze.ErrTruncated // the last event has a run or an error
}

// endSpeaker stands for the end node's id, which older servers do not send.
const endSpeaker = "end"

// streamedRun ends a streamed run. Its nodes may have said more than its answer: whoever reads the pieces then gets the answer
// once more, and alone.
func (a *attempt) streamedRun(ctx context.Context, run *coze.WorkflowRun, said string) (*coze.Chat, error) {
	chat, err := a.runEnded(run)
	if err == nil && a.chat.Stream && said != chat.Answer() {
		a.deltas.close()
		return chat, a.publishAnew(ctx, chat.Answer())
	}
	return chat, err
}

// lookUpRun waits for the end of the run that the record names. It runs nothing.
func (a *attempt) lookUpRun(ctx context.Context) (*coze.Chat, error) {
	run, err := a.pollRun(ctx)
	if err != nil {
		return nil, lookUpError(err)
	}
	chat, err := a.runEnded(run)
	if e, ok := errors.AsType[*coze.Error](err); ok {
		return nil, a.ended(ctx, e)
	}
	if a.chat.Stream {
		err = a.publishAnew(ctx, chat.Answer())
	}
	return chat, err
}

// pollRun waits for the end of the run that the record names.
func (a *attempt) pollRun(ctx context.Context) (*coze.WorkflowRun, error) {
	id := a.rec.Result.ChatID
	return awaitEnd(ctx, a, func() (*coze.WorkflowRun, error) { return a.coze.RetrieveWorkflowRun(ctx, a.chat.WorkflowID, id) },
		(*coze.WorkflowRun).Over, runUnknown)
}

// codeRunUnknown is Coze's answer to an execute_id that it does not know.
const codeRunUnknown = 4314

func runUnknown(e *coze.Error) bool {
	return e != nil && (e.Code == codeRunUnknown || e.Code == codeNotFound)
}

// runEnded takes over what a run that is over says beside its answer, and returns it as a chat. The error says that it failed
// or is interrupted.
func (a *attempt) runEnded(run *coze.WorkflowRun) (*coze.Chat, error) {
	r := &a.rec.Result
	r.ChatID = cmp.Or(run.ExecuteID, r.ChatID)
	r.ExecuteID, r.DebugURL, r.Interrupt = r.ChatID, run.DebugURL, nil
	if i := run.Interrupt; i != nil {
		r.Interrupt = &results.Interrupt{EventID: i.EventID, Type: i.Type, Node: i.Node, RequiredParameters: i.RequiredParameters}
	}
	if run.Trimmed {
		a.warn("Coze has cut the workflow's output, which is over 1 MB: the page of debug_url shows all of it, for 7 days")
	}
	chat := outcomeOf(run)
	a.keepUsage(chat)
	if e := run.Err(); e != nil {
		a.keepPartial(chat)
		e.ChatID = r.ChatID
		return chat, e
	}
	return chat, nil
}

// outcomeOf is a run in the form of a chat, in which everything after it is done.
func outcomeOf(run *coze.WorkflowRun) *coze.Chat {
	chat := &coze.Chat{ID: run.ExecuteID, Usage: run.Usage}
	if answer := run.Answer(); answer != "" {
		chat.Messages = []coze.Message{{Role: coze.RoleAssistant, Type: coze.MessageAnswer, ContentType: coze.ContentText, Content: answer}}
	}
	return chat
}

// leaveRun ends an attempt whose task was canceled, or whose time is up, while its run may go on: Coze has no call that
// cancels one. If the run has just succeeded, its output is returned.
func (a *attempt) leaveRun(ctx context.Context, why error) (*coze.Chat, error) {
	r := &a.rec.Result
	var over bool
	if r.ChatID != "" {
		run, err := a.coze.RetrieveWorkflowRun(ctx, a.chat.WorkflowID, r.ChatID)
		if over = err == nil && run.Over(); over {
			chat, err := a.runEnded(run)
			if err == nil {
				return chat, nil
			}
		}
	}
	if errors.Is(why, errDeadline) && !over && r.ChatID != "" {
		return nil, why // the next attempt looks it up
	}
	switch {
	case r.ChatID != "":
		if !over {
			a.warn("the workflow's run goes on at Coze, which cannot cancel it")
		}
		a.chatEnded(r.ChatID)
	case !a.rec.AskedAt.IsZero():
		a.warn("the workflow's run may go on at Coze, which cannot cancel it")
		r.PossibleDuplicate = r.PossibleDuplicate || errors.Is(why, errDeadline)
	}
	a.rec.AskedAt = time.Time{}
	return nil, why
}
