package gateway

import (
	"context"
	"net/http"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/tasks"
)

const queuesPath = "/api/v1/queues"

// queueState is what became of a queue.
type queueState struct {
	Queue string `json:"queue"`
	State string `json:"state" enum:"paused,resumed,probing" doc:"probing: cozeq has paused something itself, and tries one question now"`
}

func (g *Gateway) queueRoutes() {
	op := g.operation(http.MethodGet, queuesPath, "queues", "Queues", "Queues, pauses and limits",
		"What 'cozeq queues --json' prints: depth and age of each queue, what is paused and why, and the learnt limits. A key needs operator.")
	op.SkipValidateParams = false
	type state struct{ Body queuestate.All }
	register(g, op, func(ctx context.Context, _ *struct{}) (*state, error) {
		if err := apikey.FromContext(ctx).CheckOperator(); err != nil {
			return nil, err
		}
		all, err := queuestate.ReadAll(ctx, g.Tasks.Results().Redis())
		return &state{all}, err
	})
	op = g.operation(http.MethodPost, queuesPath+"/{name}/pause", "pause", "Queues", "Pause a queue",
		"Its questions stay in it, and chats in flight finish. Nothing but resume ends this. A key needs operator.")
	register(g, op, g.pauseQueue)
	op = g.operation(http.MethodPost, queuesPath+"/{name}/resume", "resume", "Queues", "Resume a queue, or probe at once",
		"Ends an operator's pause. What cozeq has paused by itself is tried with one question now. A key needs operator.")
	register(g, op, g.resumeQueue)
}

type queueName struct {
	Name string `path:"name"`
}

type queueReply struct{ Body queueState }

func (g *Gateway) pauseQueue(ctx context.Context, in *queueName) (*queueReply, error) {
	if err := g.checkQueue(ctx, in.Name); err != nil {
		return nil, err
	}
	_, err := asynqx.QueuePauses{Redis: g.Tasks.Results().Redis()}.OperatorPause(ctx, in.Name)
	return &queueReply{queueState{in.Name, "paused"}}, err
}

func (g *Gateway) resumeQueue(ctx context.Context, in *queueName) (*queueReply, error) {
	if err := g.checkQueue(ctx, in.Name); err != nil {
		return nil, err
	}
	rdb := g.Tasks.Results().Redis()
	if _, err := (asynqx.QueuePauses{Redis: rdb}).OperatorResume(ctx, in.Name); err != nil {
		return nil, err
	}
	state := "resumed"
	pauses, err := pause.ProbeNow(ctx, rdb)
	if pauses > 0 {
		state = "probing"
	}
	return &queueReply{queueState{in.Name, state}}, err
}

func (g *Gateway) checkQueue(ctx context.Context, name string) error {
	if err := apikey.FromContext(ctx).CheckOperator(); err != nil {
		return err
	}
	return tasks.ValidateQueue(name)
}
