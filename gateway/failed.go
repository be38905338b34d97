package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/deadletter"
	"github.com/cozeq/cozeq/tasks"
)

const failedPath = "/api/v1/failed"

// mostFailed bounds the tasks that one request runs or deletes: each takes five round trips to Redis.
const mostFailed = 1000

// failedSelection is a choice that must be made: nothing is changed for want of a parameter.
type failedSelection struct {
	deadletter.Choice
	ID  []string `query:"id,explode" doc:"a task's id; may be repeated"`
	All bool     `query:"all" doc:"all failed tasks"`
}

type failedList struct {
	Failed  []deadletter.Letter `json:"failed" doc:"the last one first"`
	HasMore bool                `json:"has_more"`
}

type failedChanged struct {
	IDs     []string `json:"ids" doc:"of the tasks that were asked again, or deleted"`
	Missing []string `json:"missing,omitempty" doc:"ids of no failed task"`
	HasMore bool     `json:"has_more" doc:"send the request again for the rest"`
}

func (g *Gateway) failedRoutes() {
	op := g.operation(http.MethodGet, failedPath, "failed", "Failed", "List failed tasks",
		"Lists failed tasks in asynq's archive, where they stay for 90 days, 10,000 of a queue. Rows of a batch are not there: retry the batch.")
	register(g, op, func(ctx context.Context, in *struct {
		deadletter.Choice
		After string `query:"after" doc:"the id of the last task of the page before"`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}) (*struct{ Body failedList }, error) {
		f, err := failedFilter(ctx, in.Choice)
		if err != nil {
			return nil, err
		}
		all, err := deadletter.New(g.Tasks.Results()).List(ctx, f)
		if err != nil {
			return nil, err
		}
		if in.After != "" {
			i := slices.IndexFunc(all, func(l deadletter.Letter) bool { return l.ID == in.After })
			if i < 0 {
				return nil, fault(http.StatusNotFound, "query.after: there is no failed task %.100q among these any more: begin without after", in.After)
			}
			all = all[i+1:]
		}
		n := min(len(all), in.Limit)
		return &struct{ Body failedList }{failedList{Failed: append([]deadletter.Letter{}, all[:n]...), HasMore: n < len(all)}}, nil
	})

	op = g.operation(http.MethodPost, failedPath+"/run", "runFailed", "Failed", "Ask failed tasks again",
		"Asks failed tasks again, each once, under its id: those of the ids, or those of the choice; 1,000 at most. They count for the bounds of the key.")
	register(g, op, func(ctx context.Context, in *failedSelection) (*failedReply, error) {
		box := deadletter.New(g.Tasks.Results())
		return in.change(ctx, box, func(ctx context.Context, l deadletter.Letter) (bool, error) { return g.runFailed(ctx, box, l) })
	})

	op = g.operation(http.MethodDelete, failedPath, "deleteFailed", "Failed", "Delete failed tasks",
		"Deletes failed tasks from asynq's archive: those of the ids, or those of the choice; 1,000 at most. Their results stay for as long as they are kept.")
	register(g, op, func(ctx context.Context, in *failedSelection) (*failedReply, error) {
		if in.Since != (deadletter.Age{}) {
			return nil, choiceFault(deadletter.ErrYoung)
		}
		box := deadletter.New(g.Tasks.Results())
		return in.change(ctx, box, box.Delete)
	})
}

type failedReply struct{ Body failedChanged }

// failedFilter is a choice among the tasks of the request's key.
func failedFilter(ctx context.Context, c deadletter.Choice) (deadletter.Filter, error) {
	f, err := c.Filter(time.Now())
	if e, ok := errors.AsType[*deadletter.ChoiceError](err); ok {
		return f, choiceFault(e)
	}
	f.Tenant = apikey.FromContext(ctx).Tenant()
	return f, err
}

// choiceFault names the parameter as requests have it.
func choiceFault(e *deadletter.ChoiceError) *problem {
	return fault(http.StatusUnprocessableEntity, "query.%s", strings.ReplaceAll(e.Error(), "older-than ", "older_than="))
}

// find looks up what is selected. An id of another key's task is missing, as it is everywhere.
func (s *failedSelection) find(ctx context.Context, box *deadletter.Box) (all []deadletter.Letter, missing []string, err error) {
	f, err := failedFilter(ctx, s.Choice)
	switch chosen := s.All || s.Choice != (deadletter.Choice{}); {
	case err != nil:
	case len(s.ID) == 0 && !chosen:
		err = fault(http.StatusUnprocessableEntity, "which? Give id, once or more, or queue, class, code, since or older_than, or all=true")
	case len(s.ID) > 0 && chosen:
		err = fault(http.StatusUnprocessableEntity, "id and parameters that choose: give one of the two")
	case len(s.ID) == 0:
		all, err = box.List(ctx, f)
	default:
		for _, id := range s.ID {
			if err := tasks.ValidateID(id); err != nil {
				return nil, nil, err
			}
		}
		if all, missing, err = box.Find(ctx, f, s.ID); err == nil && len(all) == 0 {
			err = fault(http.StatusNotFound, "no failed task: %.200s", strings.Join(missing, ", "))
		}
	}
	return all, missing, err
}

// change does something to each task. The same request again goes on where one was cut: what is done is not failed any more.
func (s *failedSelection) change(ctx context.Context, box *deadletter.Box, do func(context.Context, deadletter.Letter) (bool, error)) (*failedReply, error) {
	letters, missing, err := s.find(ctx, box)
	if err != nil {
		return nil, err
	}
	out := failedChanged{IDs: []string{}, Missing: missing, HasMore: len(letters) > mostFailed}
	for _, l := range letters[:min(len(letters), mostFailed)] {
		done, err := do(ctx, l)
		if _, full := errors.AsType[*apikey.LimitError](err); full && len(out.IDs) > 0 {
			out.HasMore = true // the next request is told when to come back
			break
		}
		if err != nil {
			return nil, err
		}
		if done {
			out.IDs = append(out.IDs, l.ID)
		}
	}
	return &failedReply{out}, nil
}

// runFailed asks a task again, if its key may still ask such a one and has room for it.
func (g *Gateway) runFailed(ctx context.Context, box *deadletter.Box, l deadletter.Letter) (bool, error) {
	key := apikey.FromContext(ctx)
	err := g.submit.Allow(key, &tasks.Chat{BotID: l.BotID, WorkflowID: l.Workflow, Credential: l.Credential}, l.Queue)
	if err == nil {
		err = g.submit.Limits.Admit(ctx, key, l.ID)
	}
	if err != nil {
		return false, err
	}
	return box.Run(ctx, l)
}
