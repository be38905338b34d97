package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// A workflow's run takes the way of a chat: permit, asked note, verdict, settle. Its execute_id stands where a chat's id
// does, in the record and in memory. Three things differ:
//
//   - It is run asynchronously, so that Coze names it at once. A death after that is looked up by the execute_id (workflow.lookUp).
//   - Between the asked note and the execute_id nobody can search for it, as a run is in no conversation. It is run again,
//     and the record says possible_duplicate: see find. The window is one round trip to Coze.
//   - If its pieces are wanted, or the account's plan has no asynchronous runs (code 6003), it is streamed. Coze names a
//     streamed run only at its end, so the window is as long as the run.
//
// Coze has no call that cancels a run. A canceled task leaves its run behind, which is billed.

// codeNoAsync is Coze's answer to an asynchronous run on a free plan.
const codeNoAsync = 6003

// workflow runs a workflow, and looks its run up.
type workflow struct {
	*task
	notes  *notes
	pieces *pieces
	lookup *lookup
}

// run runs the task's workflow to its end.
func (w *workflow) run(ctx context.Context) (*coze.Chat, error) {
	if _, syncOnly := w.calls.syncOnly.Load(w.calls.credential); syncOnly || w.payload.Stream {
		return w.stream(ctx)
	}
	run, err := w.start(ctx)
	if e, ok := errors.AsType[*coze.Error](err); ok && e.Code == codeNoAsync && e.Zone == coze.ZoneRefused && w.payload.Resume == nil {
		w.calls.syncOnly.Store(w.calls.credential, true)
		w.log.Info("the plan has no asynchronous runs: workflows are streamed, and a run that is cut cannot be looked up")
		return w.stream(ctx)
	}
	if err != nil {
		return nil, err
	}
	if run.ExecuteID != "" {
		if err := w.notes.created(ctx, &coze.Chat{ID: run.ExecuteID}, run.LogID); err != nil {
			return nil, err
		}
	}
	if run.Over() {
		return w.ended(run)
	}
	if run, err = w.poll(ctx); err != nil {
		return nil, lookUpError(err)
	}
	return w.ended(run)
}

// start begins the run, or goes on with the one that the task resumes.
func (w *workflow) start(ctx context.Context) (run *coze.WorkflowRun, err error) {
	defer w.spans.Call("coze workflow/run", w.coze).Done(&err)
	w.hold.sending.Store(true)
	defer w.hold.sending.Store(false)
	note := w.notes.consent(ctx, "")
	defer note.close()
	if w.payload.Resume != nil {
		return w.coze.ResumeWorkflow(ctx, w.resumeRequest(note))
	}
	request := w.workflowRequest(note)
	request.IsAsync = true
	return w.coze.RunWorkflow(ctx, request)
}

// stream runs the workflow and publishes what its nodes say.
func (w *workflow) stream(ctx context.Context) (chat *coze.Chat, err error) {
	defer w.spans.Call("coze workflow/stream_run", w.coze).Done(&err)
	w.hold.sending.Store(true)
	defer w.hold.sending.Store(false)
	note := w.notes.consent(ctx, "")
	var stream *coze.WorkflowStream
	if w.payload.Resume != nil {
		stream, err = w.coze.StreamResume(ctx, w.resumeRequest(note))
	} else {
		stream, err = w.coze.StreamWorkflow(ctx, w.workflowRequest(note))
	}
	note.close()
	if err != nil {
		return nil, err
	}
	w.rec.LogID = stream.LogID()
	w.pieces.start(ctx)
	defer w.pieces.deltas.close()
	said, speaker := "", "" // what was published, and which message was last
	for event, err := range stream.Events() {
		// Once other nodes have spoken, the pieces are not the answer: the end node's comes whole, see streamed.
		if m := event.Message; m != nil && m.Text != "" && !(m.End && said != "" && speaker != endSpeaker) {
			id := cmp.Or(m.ExecutedAs, m.NodeID, m.Node)
			if m.End {
				id = endSpeaker
			}
			if speaker != "" && speaker != id {
				said += "\n" // as deltaWriter does
			}
			w.pieces.deltas.write(&coze.Message{ID: id, Type: coze.MessageAnswer, Content: m.Text})
			said, speaker = said+m.Text, id
		}
		if event.Run != nil {
			return w.streamed(ctx, event.Run, said)
		}
		if err != nil {
			w.events.came = stream.Began()
			w.keepPartial(outcomeOf(stream.Run()))
			return nil, err
		}
	}
	return nil, coze.ErrTruncated // the last event has a run or an error
}

// endSpeaker stands for the end node's id, which older servers do not send.
const endSpeaker = "end"

// streamed ends a streamed run. Its nodes may have said more than its answer: whoever reads the pieces then gets the answer
// once more, and alone.
func (w *workflow) streamed(ctx context.Context, run *coze.WorkflowRun, said string) (*coze.Chat, error) {
	chat, err := w.ended(run)
	if err == nil && w.payload.Stream && said != chat.Answer() {
		w.pieces.deltas.close()
		return chat, w.pieces.publishAnew(ctx, chat.Answer())
	}
	return chat, err
}

// lookUp waits for the end of the run that the record names. It runs nothing. An error with a chat is the run's own.
func (w *workflow) lookUp(ctx context.Context) (*coze.Chat, error) {
	run, err := w.poll(ctx)
	if err != nil {
		return nil, lookUpError(err)
	}
	chat, err := w.ended(run)
	if err == nil && w.payload.Stream {
		err = w.pieces.publishAnew(ctx, chat.Answer())
	}
	return chat, err
}

// poll waits for the end of the run that the record names.
func (w *workflow) poll(ctx context.Context) (*coze.WorkflowRun, error) {
	id := w.rec.Result.ChatID
	return awaitEnd(ctx, w.lookup, func() (*coze.WorkflowRun, error) { return w.coze.RetrieveWorkflowRun(ctx, w.payload.WorkflowID, id) },
		(*coze.WorkflowRun).Over, runUnknown)
}

// codeRunUnknown is Coze's answer to an execute_id that it does not know.
const codeRunUnknown = 4314

func runUnknown(e *coze.Error) bool {
	return e != nil && (e.Code == codeRunUnknown || e.Code == codeNotFound)
}

// ended takes over what a run that is over says beside its answer, and returns it as a chat. The error says that it failed
// or is interrupted.
func (w *workflow) ended(run *coze.WorkflowRun) (*coze.Chat, error) {
	r := &w.rec.Result
	r.ChatID = cmp.Or(run.ExecuteID, r.ChatID)
	r.ExecuteID, r.DebugURL, r.Interrupt = r.ChatID, run.DebugURL, nil
	if i := run.Interrupt; i != nil {
		r.Interrupt = &results.Interrupt{EventID: i.EventID, Type: i.Type, Node: i.Node, RequiredParameters: i.RequiredParameters}
	}
	if run.Trimmed {
		w.warn("Coze has cut the workflow's output, which is over 1 MB: the page of debug_url shows all of it, for 7 days")
	}
	chat := outcomeOf(run)
	w.keepUsage(chat)
	if e := run.Err(); e != nil {
		w.keepPartial(chat)
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

// leave ends an attempt whose task was canceled, or whose time is up, while its run may go on: Coze has no call that
// cancels one. If the run has just succeeded, its output is returned.
func (w *workflow) leave(ctx context.Context, why error) (*coze.Chat, error) {
	r := &w.rec.Result
	var over bool
	if r.ChatID != "" {
		run, err := w.coze.RetrieveWorkflowRun(ctx, w.payload.WorkflowID, r.ChatID)
		if over = err == nil && run.Over(); over {
			chat, err := w.ended(run)
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
			w.warn("the workflow's run goes on at Coze, which cannot cancel it")
		}
		w.chatEnded(r.ChatID)
	case !w.rec.AskedAt.IsZero():
		w.warn("the workflow's run may go on at Coze, which cannot cancel it")
		r.PossibleDuplicate = r.PossibleDuplicate || errors.Is(why, errDeadline)
	}
	w.rec.AskedAt = time.Time{}
	return nil, why
}
