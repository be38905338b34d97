package coze

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// WorkflowRequest is a run of a published workflow. WorkflowID is required; at most one of BotID and AppID is set.
type WorkflowRequest struct {
	WorkflowID  string                     `json:"workflow_id"`
	Parameters  map[string]json.RawMessage `json:"parameters,omitempty"` // of the start node
	BotID       string                     `json:"bot_id,omitempty"`     // for workflows with database or variable nodes
	AppID       string                     `json:"app_id,omitempty"`     // for workflows of an app
	Ext         map[string]string          `json:"ext,omitempty"`        // latitude, longitude, user_id
	Version     string                     `json:"workflow_version,omitempty"`
	ConnectorID string                     `json:"connector_id,omitempty"`
	IsAsync     bool                       `json:"is_async,omitempty"` // for RunWorkflow; paid plans only, others get code 6003

	// BeforeSend is asked before the run is sent: see [ChatRequest].
	BeforeSend func() error `json:"-"`
}

// ResumeRequest goes on with a run that was interrupted. All fields are required.
type ResumeRequest struct {
	WorkflowID    string `json:"workflow_id"`
	EventID       string `json:"event_id"`       // of the Interrupt
	InterruptType int    `json:"interrupt_type"` // of the Interrupt
	Data          string `json:"resume_data"`    // the answer

	// BeforeSend is asked before it is sent: see [ChatRequest].
	BeforeSend func() error `json:"-"`
}

const (
	opWorkflow       = "workflow/run"
	opWorkflowStream = "workflow/stream_run"
	opResume         = "workflows/resume"
	opResumeStream   = "workflow/stream_resume"
	opHistory        = "workflow/run_history"
)

func (r *WorkflowRequest) call(op string) (call, error) {
	switch {
	case r == nil || r.WorkflowID == "":
		return call{}, invalid(op, "the run names no workflow")
	case r.BotID != "" && r.AppID != "":
		return call{}, invalid(op, "the run names a bot and an app: Coze takes one of them")
	}
	return runCall(op, r, r.BeforeSend), nil
}

func (r *ResumeRequest) call(op string) (call, error) {
	if r == nil || r.WorkflowID == "" || r.EventID == "" {
		return call{}, invalid(op, "the run to be resumed needs its workflow's id and the interrupt's event id")
	}
	return runCall(op, r, r.BeforeSend), nil
}

// runCall is a call that begins a run or goes on with one: each is billed.
func runCall(op string, body any, beforeSend func() error) call {
	return call{op: op, method: http.MethodPost, path: "/v1/" + op, body: body, asks: true, whole: true, beforeSend: beforeSend}
}

// RunWorkflow runs a workflow. Without IsAsync it returns at the end, and Coze breaks off after 90 s. With IsAsync the run has
// only its ExecuteID and DebugURL: call [Client.RetrieveWorkflowRun] until it is over. It is not idempotent: the [*Error]'s
// Zone says how far it came. [WorkflowRun.Err] says whether the run failed.
func (c *Client) RunWorkflow(ctx context.Context, request *WorkflowRequest) (*WorkflowRun, error) {
	a, err := request.call(opWorkflow)
	if err != nil {
		return nil, err
	}
	run, err := fetch[WorkflowRun](ctx, c, a)
	if err == nil && request.IsAsync && run.ExecuteID == "" && run.Output == "" {
		return nil, &Error{Op: a.op, Class: ClassTransient, Zone: ZoneUnknown, Message: "the reply names no execute_id", LogID: run.LogID}
	}
	return run.begun(request.IsAsync && run != nil && run.Output == ""), err // a server may take no notice of is_async
}

// ResumeWorkflow goes on with a run that RunWorkflow began: asynchronously if that was, see there. Coze resumes a run three
// times at most, and each costs as much as a run.
func (c *Client) ResumeWorkflow(ctx context.Context, request *ResumeRequest) (*WorkflowRun, error) {
	a, err := request.call(opResume)
	if err != nil {
		return nil, err
	}
	run, err := fetch[WorkflowRun](ctx, c, a)
	return run.begun(run != nil && run.ExecuteID != "" && run.Output == "" && run.Interrupt == nil), err
}

// RetrieveWorkflowRun reads the state of an asynchronous run. The error, an [*Error], is about the call; [WorkflowRun.Err]
// says whether the run failed. Code 4314 means that Coze does not know the run. Coze keeps outputs for 7 days, those of output
// nodes for a day.
func (c *Client) RetrieveWorkflowRun(ctx context.Context, workflowID, executeID string) (*WorkflowRun, error) {
	if workflowID == "" || executeID == "" {
		return nil, invalid(opHistory, "the workflow's id or the run's execute_id is empty")
	}
	var runs []WorkflowRun
	err := c.call(ctx, call{
		op: opHistory, method: http.MethodGet,
		path: "/v1/workflows/" + url.PathEscape(workflowID) + "/run_histories/" + url.PathEscape(executeID),
	}, &runs)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if run := &runs[i]; run.ExecuteID == executeID || run.ExecuteID == "" {
			run.ExecuteID = executeID
			return run, nil
		}
	}
	return nil, &Error{Op: opHistory, Class: ClassTransient, Message: fmt.Sprintf("the reply has %d runs, none of them this one", len(runs))}
}
