package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

const (
	tasksPath = "/api/v1/tasks"

	// mostWait bounds a long poll: proxies cut connections that are silent for longer.
	mostWait = 60 * time.Second
)

// reply is an answer whose status depends on what came out.
type reply struct {
	Status   int
	Location string `header:"Location"`
	Body     any
}

// submitted is the record of a task, and why it waits.
type submitted struct {
	*results.Result
	Paused *submit.Wait `json:"paused,omitempty" doc:"nothing like this is asked now: the task waits for the end of the pause"`
}

type result struct {
	Body *results.Result
}

func (g *Gateway) taskRoutes() {
	registry := g.api.OpenAPI().Components.Schemas
	one, body := taskSchema(registry)
	record, many := schemaOf[submitted](registry, "Submitted"), schemaOf[[]verdict](registry, "Verdicts")
	op := g.operation(http.MethodPost, tasksPath, "submit", "Tasks", "Submit a question, or many",
		`Puts a question into the queue. With an id of your own, or an Idempotency-Key, the same request may be sent again: it finds
the task that is there. An array submits many questions and gives each its own verdict. A form has the question as JSON in the part task, and its
files in parts file and image.`)
	op.RequestBody = jsonBody(body)
	op.RequestBody.Content[formType] = &huma.MediaType{Schema: formSchema(one)}
	maps.Copy(op.Responses, map[string]*huma.Response{
		"200": jsonResponse("the task was there already, or ended within Prefer: wait=N", record),
		"202": jsonResponse("the task is in the queue", record),
		"207": jsonResponse("an array: one verdict each", many),
	})
	register(g, op, func(ctx context.Context, in *struct {
		IdempotencyKey string `header:"Idempotency-Key" doc:"makes a request without an id repeatable" maxLength:"255"`
		Prefer         string `header:"Prefer" doc:"wait=N: answer with the result if the task ends within N seconds, 60 at most"`
		ContentType    string `header:"Content-Type" hidden:"true"`
		RawBody        []byte
	}) (*reply, error) {
		wait, err := preferredWait(in.Prefer)
		if err != nil {
			return nil, err
		}
		if isForm(in.ContentType) {
			return g.submitForm(ctx, in.RawBody, in.ContentType, one, in.IdempotencyKey, wait)
		}
		if !isJSON(in.ContentType) {
			return nil, fault(http.StatusUnsupportedMediaType, "Content-Type %q: send JSON, or a form with files", in.ContentType)
		}
		questions, array, err := split(in.RawBody)
		if err != nil {
			return nil, err
		}
		if array {
			return g.submitMany(ctx, questions, one, in.IdempotencyKey)
		}
		t, err := g.decode(questions[0], "body", one)
		if err != nil {
			return nil, err
		}
		r, err := t.request(g.BotID)
		if err != nil {
			return nil, err
		}
		return g.submitOne(ctx, t, r, in.IdempotencyKey, wait)
	})

	op = g.operation(http.MethodGet, tasksPath+"/{id}", "result", "Tasks", "Look at a task, or wait for it", "Returns the task's record as it stands. With wait it is held until the task ends, or until the time is over: the status says which.")
	register(g, op, func(ctx context.Context, in *struct {
		ID   string `path:"id"`
		Wait string `query:"wait" doc:"hold the answer until the task ends, for at most this time: 30s; 60s at most"`
	}) (*result, error) {
		wait, err := flags.ParseDuration(in.Wait)
		if in.Wait == "" {
			wait, err = 0, nil
		}
		if err != nil || wait < 0 {
			return nil, fault(http.StatusUnprocessableEntity, "query.wait: %q is no duration: want one like 30s", in.Wait)
		}
		r, err := g.submit.Result(ctx, in.ID)
		if err == nil {
			r, err = g.await(ctx, r, min(wait, mostWait))
		}
		if err != nil {
			return nil, err
		}
		return &result{r}, nil
	})

	op = g.operation(http.MethodPost, tasksPath+"/{id}/cancel", "cancel", "Tasks", "Cancel a task",
		`A task that was not asked yet is canceled at once. One that runs is canceled a moment later by its worker, at Coze too. One
that has ended stays as it is.`)
	register(g, op, func(ctx context.Context, in *struct {
		ID string `path:"id"`
	}) (*result, error) {
		if err := g.submit.Cancel(ctx, in.ID); err != nil {
			return nil, err
		}
		r, err := g.submit.Result(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &result{r}, nil
	})
}

func (g *Gateway) submitOne(ctx context.Context, t *taskRequest, r *submit.Request, idempotencyKey string, wait time.Duration) (*reply, error) {
	if err := g.hook(ctx, r, t.Webhook); err != nil {
		return nil, err
	}
	r.IdempotencyKey = idempotencyKey
	ticket, err := g.submit.Submit(ctx, r)
	if err != nil {
		return nil, err
	}
	record, err := g.await(ctx, ticket.Record, wait)
	if err != nil {
		return nil, err
	}
	status, body := http.StatusAccepted, submitted{Result: record}
	if ticket.Existed || record.Status.Terminal() {
		status = http.StatusOK
	}
	if !record.Status.Terminal() && record.Status != results.Running {
		held, _ := g.submit.Held(ctx, r.Chat, r.Options.Queue, ticket.ID) // the task is there, whatever is known of pauses
		body.Paused = submit.WaitOf(held)
	}
	return &reply{Status: status, Location: tasksPath + "/" + ticket.ID, Body: body}, nil
}

// verdict is what became of one question of an array.
type verdict struct {
	Status  int      `json:"status" doc:"202 it is in the queue, 200 it was there already, else an error"`
	ID      string   `json:"id,omitempty" doc:"the task's"`
	Problem *problem `json:"problem,omitempty"`
}

func (g *Gateway) submitMany(ctx context.Context, questions []json.RawMessage, schema *huma.Schema, idempotencyKey string) (*reply, error) {
	if idempotencyKey != "" {
		return nil, fault(http.StatusUnprocessableEntity, "header.Idempotency-Key names one question, and the body has many: give each its id")
	}
	verdicts := make([]verdict, len(questions))
	var requests []*submit.Request
	var sent []int
	for i, q := range questions {
		t, err := g.decode(q, fmt.Sprintf("body[%d]", i), schema)
		var r *submit.Request
		if err == nil {
			r, err = t.request(g.BotID)
		}
		if err == nil {
			err = g.hook(ctx, r, t.Webhook)
		}
		if err != nil {
			verdicts[i] = refused(err)
			continue
		}
		requests, sent = append(requests, r), append(sent, i)
	}
	for k, o := range g.submit.SubmitAll(ctx, requests) {
		switch i := sent[k]; {
		case o.Err != nil:
			verdicts[i] = refused(o.Err)
			verdicts[i].ID = o.ID
		case o.Existed:
			verdicts[i] = verdict{Status: http.StatusOK, ID: o.ID}
		default:
			verdicts[i] = verdict{Status: http.StatusAccepted, ID: o.ID}
		}
	}
	return &reply{Status: http.StatusMultiStatus, Body: verdicts}, nil
}

func refused(err error) verdict {
	p := problemOf(err)
	return verdict{Status: p.Status, Problem: p}
}

// await waits for the end of a task, and returns the record as it stands when the time is over.
func (g *Gateway) await(ctx context.Context, r *results.Result, wait time.Duration) (*results.Result, error) {
	if r.Status.Terminal() || wait <= 0 {
		return r, nil
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(g.draining, cancel)()
	defer callOf(ctx).wait()()
	ended, err := g.Tasks.Wait(waiting, r.ID)
	_, unfinished := errors.AsType[*tasks.UnfinishedError](err)
	switch {
	case ended != nil:
		return ended, nil
	case unfinished && ctx.Err() == nil:
		return g.submit.Result(ctx, r.ID)
	}
	return nil, err
}

// preferredWait reads wait=N of a Prefer header (RFC 7240). Other preferences are not ours.
func preferredWait(prefer string) (time.Duration, error) {
	for _, preference := range strings.FieldsFunc(prefer, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || n < 0 {
			return 0, fault(http.StatusUnprocessableEntity, "header.Prefer: %q, want wait=N with a number of seconds", preference)
		}
		return min(time.Duration(n)*time.Second, mostWait), nil
	}
	return 0, nil
}
