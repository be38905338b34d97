package coze

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// RunStatus is the state of a workflow's run.
type RunStatus string

// The statuses of a run. Coze has none for an interrupted one: see WorkflowRun.Interrupt.
const (
	RunSucceeded RunStatus = "Success"
	RunRunning   RunStatus = "Running"
	RunFailed    RunStatus = "Fail"
)

// WorkflowRun is one run of a workflow and its outcome.
type WorkflowRun struct {
	ExecuteID string // "" if Coze did not name it
	Status    RunStatus

	// Output is what the end node gave: mostly a JSON object in a string, else text. Nodes are the messages of the other nodes,
	// in order.
	Output string
	Nodes  []NodeOutput

	DebugURL     string // a page at Coze that shows the run, for 7 days
	Usage        *Usage // nil if all are zero
	Interrupt    *Interrupt
	ErrorCode    int
	ErrorMessage string
	Trimmed      bool // Coze has cut the output
	LogID        string

	codes *CodeTable // of the client that read the run; nil = the built-in table
	ended string     // the node of the newest message
}

// NodeOutput is a message of a node.
type NodeOutput struct {
	Node string // its title
	Text string
}

// Interrupt is what a run waits for.
type Interrupt struct {
	EventID string `json:"event_id"`
	Type    int    `json:"type"`           // InterruptQuestion, ...
	Data    string `json:"data,omitempty"` // what is asked, as Coze has it
	Node    string `json:"node,omitempty"` // its title

	// RequiredParameters describe the answer that an input node wants, as Coze has them.
	RequiredParameters json.RawMessage `json:"required_parameters,omitempty"`
}

// The types of interrupts.
const (
	InterruptQuestion = 2 // a question node asks a person
	InterruptInput    = 5 // an input node wants values
	InterruptPlugin   = 6 // a client-side plugin is to be run
	InterruptOAuth    = 7 // a plugin needs a person's authorization
)

// UnmarshalJSON reads a run in any of the forms that Coze sends: the reply of a run, with data, and a run's history, with
// output.
func (r *WorkflowRun) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got WorkflowRun
	for o.next() {
		switch string(o.name) {
		case "execute_id":
			got.ExecuteID = idOf(o.value)
		case "execute_status":
			got.Status = runStatusOf(textOf(o.value))
		case "data":
			got.Output = nodeText(textOf(o.value))
		case "output":
			got.setOutputs(textOf(o.value))
		case "debug_url":
			got.DebugURL = textOf(o.value)
		case "usage":
			got.Usage = usageOf(o.value)
		case "token":
			got.countTokens(integerOf(o.value))
		case "interrupt_data":
			got.Interrupt = interruptOf(o.value)
		case "error_code":
			got.ErrorCode = int(integerOf(o.value))
		case "error_message":
			got.ErrorMessage = textOf(o.value)
		case "is_output_trimmed":
			got.Trimmed = textOf(o.value) == "true"
		case "logid":
			got.LogID = textOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	keepString(&got.ExecuteID, executeIDOf(got.DebugURL))
	*r = got
	return nil
}

func runStatusOf(s string) RunStatus {
	for _, status := range []RunStatus{RunSucceeded, RunRunning, RunFailed} {
		if strings.EqualFold(s, string(status)) {
			return status
		}
	}
	return RunStatus(s)
}

// executeIDOf finds the run's id in its debug URL.
func executeIDOf(debugURL string) string {
	u, err := url.Parse(debugURL)
	if err != nil {
		return ""
	}
	return u.Query().Get("execute_id")
}

// setOutputs reads the output of a history: an object with Output for the end node and a member for each output node. Any
// other text is taken as the end node's.
func (r *WorkflowRun) setOutputs(text string) {
	o := object{b: []byte(text)}
	var nodes []NodeOutput
	end, found := "", false
	for o.next() {
		if string(o.quoted) == `"Output"` {
			end, found = nodeText(textOf(o.value)), true
			continue
		}
		nodes = append(nodes, NodeOutput{Node: textOf(o.quoted), Text: nodeText(textOf(o.value))})
	}
	if o.err != nil || !found {
		r.Output = nodeText(text)
		return
	}
	r.Output, r.Nodes = end, nodes
}

// nodeText is a node's output without the wrapping that Coze gives to text:
// {"content_type":1,"data":"TEXT","original_result":null,"type_for_model":2}.
func nodeText(text string) string {
	if !strings.Contains(text, "type_for_model") {
		return text
	}
	o := object{b: []byte(text)}
	data := ""
	for o.next() {
		switch string(o.name) {
		case "data":
			data = textOf(o.value)
		case "content_type", "original_result", "type_for_model":
		default:
			return text
		}
	}
	if o.err != nil {
		return text
	}
	return data
}

// interruptOf is nil unless it names an event.
func interruptOf(b []byte) *Interrupt {
	o := object{b: b}
	var got Interrupt
	for o.next() {
		switch string(o.name) {
		case "event_id":
			got.EventID = textOf(o.value)
		case "type":
			got.Type = int(integerOf(o.value))
		case "data":
			got.Data = textOf(o.value)
		case "required_parameters":
			if o.value[0] == '{' {
				got.RequiredParameters = slices.Clone(o.value)
			}
		}
	}
	if o.err != nil || got.EventID == "" {
		return nil
	}
	return &got
}

// countTokens takes the count of older replies, which name only the sum.
func (r *WorkflowRun) countTokens(n int64) {
	if r.Usage == nil && n > 0 {
		r.Usage = &Usage{TokenCount: n}
	}
}

// begun sets the status of a run that was just begun, if Coze did not: r may be nil.
func (r *WorkflowRun) begun(async bool) *WorkflowRun {
	if r != nil && r.Status == "" && r.Interrupt == nil {
		r.Status = RunSucceeded
		if async {
			r.Status = RunRunning
		}
	}
	return r
}

// Over reports whether the run will not change by itself any more.
func (r *WorkflowRun) Over() bool {
	return r.Interrupt != nil || r.Status == RunSucceeded || r.Status == RunFailed
}

// Answer is the end node's output, or without any the messages of the other nodes, joined by a line feed. It is valid UTF-8.
func (r *WorkflowRun) Answer() string {
	if r.Output != "" {
		return valid(r.Output)
	}
	var texts []string
	for _, n := range r.Nodes {
		if n.Text != "" {
			texts = append(texts, n.Text)
		}
	}
	return valid(strings.Join(texts, "\n"))
}

// Err is nil unless the run failed or is interrupted (ErrInterrupted; the error quotes what is asked). It is an Error of
// ZoneCreated with Ended set; its class comes from the table of the client that read the run.
func (r *WorkflowRun) Err() *Error {
	e := &Error{Op: opWorkflow, LogID: r.LogID, Zone: ZoneCreated, Ended: true}
	switch {
	case r.Interrupt != nil:
		e.Class, e.Err, e.hint = ClassAction, ErrInterrupted, hintResume.EN
		e.Message = bounded("the workflow "+r.Interrupt.wants()+": "+r.asked(), maxMessage)
	case r.Status == RunFailed:
		e.Code, e.Message = r.ErrorCode, "the workflow failed and Coze gave no reason"
		if r.ErrorMessage != "" {
			e.Message = bounded(r.ErrorMessage, maxMessage)
		}
		e.judge(r.codes)
	default:
		return nil
	}
	return e
}

func (i *Interrupt) wants() string {
	switch i.Type {
	case InterruptQuestion:
		return "asks"
	case InterruptInput:
		return "wants input"
	case InterruptPlugin:
		return "wants a client-side plugin to be run"
	case InterruptOAuth:
		return "wants a plugin to be authorized"
	}
	return "is interrupted (type " + strconv.Itoa(i.Type) + ")"
}

// asked is what the interrupt is about: its own words, else the message before it, else the node's title.
func (r *WorkflowRun) asked() string {
	var words struct {
		Content text `json:"content"`
	}
	data := r.Interrupt.Data
	if json.Unmarshal([]byte(data), &words) == nil && words.Content != "" {
		return string(words.Content)
	}
	if data == "" && len(r.Nodes) > 0 {
		data = r.Nodes[len(r.Nodes)-1].Text
	}
	if data == "" {
		data = r.Interrupt.Node
	}
	return data
}

// adoptRun gives a run what Err needs of its call. A node's error may echo what a plugin was sent, so the token is hidden.
func (x *exchange) adoptRun(run *WorkflowRun) {
	run.codes = x.client.Codes
	keepString(&run.LogID, x.logID)
	run.LogID = x.line(run.LogID, maxLogID)
	run.ErrorMessage = x.hide(run.ErrorMessage)
}
