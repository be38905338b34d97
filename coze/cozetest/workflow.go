package cozetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the workflow calls in rules.
const (
	onWorkflow = "workflow" // run, stream_run, resume, stream_resume
	onHistory  = "run_history"
)

type workflowBody struct {
	WorkflowID    string                     `json:"workflow_id"`
	Parameters    map[string]json.RawMessage `json:"parameters"`
	BotID         string                     `json:"bot_id"`
	AppID         string                     `json:"app_id"`
	Ext           map[string]string          `json:"ext"`
	IsAsync       bool                       `json:"is_async"`
	EventID       string                     `json:"event_id"`
	InterruptType int                        `json:"interrupt_type"`
	ResumeData    string                     `json:"resume_data"`
}

// run is one run of a workflow. What it will give is decided when it is accepted; resume changes it, under Fake.mu.
type run struct {
	id         string
	workflowID string
	botID      string
	input      map[string]json.RawMessage // without directives
	fault      *Fault
	async      bool
	mode       int // as run_mode has it
	start      time.Time
	takes      time.Duration // negative: for ever
	createdAt  int64
	nodes      []string // messages of output nodes
	output     string   // of the end node
	usage      usage
	resumed    int
}

// runMode is what run_mode says: 0 synchronous, 1 streamed, 2 asynchronous.
func runMode(stream, async bool) int {
	switch {
	case stream:
		return 1
	case async:
		return 2
	}
	return 0
}

// workflow is one of the four calls that begin a run or go on with one. Refusals come at HTTP 200.
func workflow(stream, resume bool) func(*exchange) {
	return func(x *exchange) { x.workflow(stream, resume) }
}

func (x *exchange) workflow(stream, resume bool) {
	var body workflowBody
	if r := x.decode(&body); r != nil {
		x.refuse(r)
		return
	}
	x.entry.WorkflowID, x.entry.BotID, x.entry.UserID, x.entry.Stream = body.WorkflowID, body.BotID, body.Ext["user_id"], stream
	if r := x.fake.checkRun(&body, stream, resume); r != nil {
		x.refuse(r)
		return
	}
	r, ft, refused := x.acceptRun(&body, stream, resume)
	switch {
	case refused != nil:
		x.refuse(refused)
	case r == nil:
		x.refused(ft, stream)
	case ft.Kind == Hangup || ft.Kind == Gateway:
		x.fault(ft)
	case stream:
		x.streamRun(r)
	case r.async:
		x.runLater(r)
	default:
		x.runNow(r)
	}
}

func (f *Fake) checkRun(body *workflowBody, stream, resume bool) *refusal {
	switch {
	case body.WorkflowID == "":
		return refuse(codeParameter, "workflow_id is required")
	case len(f.cfg.Workflows) > 0 && !slices.Contains(f.cfg.Workflows, body.WorkflowID):
		return refuse(codeResource, "The requested resource workflow_id="+body.WorkflowID+" does not exist")
	case body.BotID != "" && body.AppID != "":
		return refuse(codeParameter, "bot_id and app_id exclude each other")
	case resume && (body.EventID == "" || body.InterruptType == 0):
		return refuse(codeParameter, "event_id and interrupt_type are required")
	case !stream && body.IsAsync && f.cfg.NoAsync:
		return refuse(codeNoAsync, "Workflow execution with is_async=true is a premium feature available only to Coze Professional users")
	}
	return nil
}

// acceptRun decides about a run as accept does about a chat.
func (x *exchange) acceptRun(body *workflowBody, stream, resume bool) (*run, *Fault, *refusal) {
	f := x.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	question, input, directives, err := f.runInput(body, resume)
	for i := range directives {
		directives[i].On = onWorkflow
	}
	x.entry.Question = question
	if err != nil {
		return nil, nil, refuse(codeParameter, err.Error())
	}
	var r *run
	if resume {
		id, _, _ := strings.Cut(body.EventID, "/")
		switch r = f.runs[id]; {
		case r == nil:
			return nil, nil, refuse(codeNoRun, "the workflow's execution does not exist")
		case r.interrupt() == 0 || time.Since(r.start) < r.takes:
			return nil, nil, refuse(codeRunOver, "the workflow's execution waits for nothing")
		}
	}
	ft := x.pick(onWorkflow, question, directives)
	if ft.refuses() {
		return nil, ft, nil
	}
	if r == nil {
		r = &run{id: f.id(), workflowID: body.WorkflowID, botID: cmp.Or(body.BotID, "0"), createdAt: f.cfg.now().Unix(), async: body.IsAsync && !stream}
		r.mode = runMode(stream, r.async)
		f.runs[r.id] = r
	} else {
		own := *r // the stream of the interrupted run may still be read
		r = &own
		r.resumed++
		input = maps.Clone(r.input)
		input["answer"], _ = json.Marshal(body.ResumeData)
		f.runs[r.id] = r
	}
	r.input, r.fault, r.start = input, ft, time.Now()
	f.runSays(r)
	x.entry.ExecuteID = r.id
	f.journal.acceptRun(question)
	return r, ft, nil
}

// runInput is what stands for the question of a run: its parameters as JSON, the answer of a resume. Directives in texts
// are taken out of the input.
func (f *Fake) runInput(body *workflowBody, resume bool) (question string, input map[string]json.RawMessage, directives []Rule, err error) {
	if resume {
		_, directives, err = f.directives(body.ResumeData)
		return body.ResumeData, nil, directives, err
	}
	input = make(map[string]json.RawMessage, len(body.Parameters))
	for _, name := range slices.Sorted(maps.Keys(body.Parameters)) {
		value := body.Parameters[name]
		var text string
		if json.Unmarshal(value, &text) == nil && strings.Contains(text, directiveOpen) {
			plain, rules, err := f.directives(text)
			if err != nil {
				return "", nil, nil, err
			}
			directives = append(directives, rules...)
			value, _ = json.Marshal(plain)
		}
		input[name] = value
	}
	all := body.Parameters
	if all == nil {
		all = input
	}
	words, err := json.Marshal(all)
	return string(words), input, directives, err
}

// runSays decides what a run gives: by default its parameters, with an output that names them. The caller holds mu.
func (f *Fake) runSays(r *run) {
	ft := r.fault
	input, _ := json.Marshal(r.input)
	r.output, r.nodes, r.usage = ft.Answer, nil, usage{input: tokens(string(input))}
	if r.output == "" {
		echo := maps.Clone(r.input)
		text := "Mock output for " + string(input)
		if ft.Size > 0 {
			text = sized(text, ft.Size)
		}
		echo["output"], _ = json.Marshal(text)
		whole, _ := json.Marshal(echo)
		r.output = string(whole)
	}
	if ft.Empty {
		r.output = ""
	}
	for i := range ft.Answers {
		r.nodes = append(r.nodes, fmt.Sprintf("Message %d of %d for %s", i+1, ft.Answers, input))
	}
	if r.interrupt() != 0 {
		r.nodes, r.output = append(r.nodes, "Which city, and which day?"), ""
	}
	n := 0
	for _, text := range append(r.nodes, r.output) {
		r.usage.output += tokens(text)
		n += countPieces(text, f.runPieces(r))
	}
	r.takes = cmp.Or(ft.Latency, f.cfg.Latency) + time.Duration(n)*ft.pace(f.cfg.DeltaPace) + ft.Behind
	if ft.Kind == Stall {
		r.takes += ft.For
	}
	if ft.end() == Running {
		r.takes = -1
	}
}

func (f *Fake) runPieces(r *run) int { return cmp.Or(r.fault.Deltas, f.cfg.deltas()) }

// interrupt is the type of the interrupt that the run ends with, 0 for none.
func (r *run) interrupt() int {
	switch r.fault.Kind {
	case AskBack:
		return 2
	case Action:
		return 6
	}
	return 0
}

// state is execute_status at this moment, and whether the run is over.
func (r *run) state() (status string, over bool) {
	switch {
	case r.takes < 0 || time.Since(r.start) < r.takes:
		return "Running", false
	case r.fault.end() == Failed:
		return "Fail", true
	case r.interrupt() != 0: // Coze has no status for it
		return "Running", true
	}
	return "Success", true
}

func (r *run) debugURL() string {
	return "https://www.coze.cn/work_flow?execute_id=" + r.id + "&space_id=7300000000000000001&workflow_id=" + r.workflowID
}

func (r *run) appendInterrupt(dst []byte) []byte {
	dst = appendString(append(dst, `{"data":"","event_id":`...), r.id+"/"+strconv.FormatInt(7_600_000_000_000_000_000+int64(r.resumed), 10))
	return append(strconv.AppendInt(append(dst, `,"type":`...), int64(r.interrupt()), 10), '}')
}

// runLater answers an asynchronous run. Coze's reply to it has no code.
func (x *exchange) runLater(r *run) {
	x.log(http.StatusOK, 0)
	body := appendString([]byte(`{"debug_url":`), r.debugURL())
	body = appendString(append(body, `,"execute_id":`...), r.id)
	x.send(http.StatusOK, append(body, `,"msg":""`...))
}

func (x *exchange) runNow(r *run) {
	if r.takes < 0 {
		x.log(0, 0)
		x.hang()
		return
	}
	if !x.sleep(r.takes) {
		x.log(0, 0)
		return
	}
	if r.fault.end() == Failed {
		x.refuse(refuse(r.fault.code(), r.fault.msg()))
		return
	}
	x.reply(func(dst []byte) []byte {
		dst = appendString(append(dst, `,"data":`...), r.output)
		dst = appendString(append(dst, `,"debug_url":`...), r.debugURL())
		if r.interrupt() != 0 {
			dst = r.appendInterrupt(append(dst, `,"interrupt_data":`...))
		}
		return r.usage.append(append(dst, `,"usage":`...))
	})
}

// runHistory answers with the state of any run; Coze documents it for asynchronous ones.
func (x *exchange) runHistory() {
	f := x.fake
	parts := strings.Split(strings.Trim(x.r.URL.Path, "/"), "/")
	workflowID, id := parts[2], parts[4]
	x.entry.WorkflowID, x.entry.ExecuteID = workflowID, id
	f.mu.Lock()
	r := f.runs[id]
	f.mu.Unlock()
	question := ""
	if r != nil {
		words, _ := json.Marshal(r.input)
		question = string(words)
		x.entry.Question = question
	}
	if !x.met(question) {
		return
	}
	if r == nil || r.workflowID != workflowID {
		x.refuse(refuse(codeNoRun, "the workflow's execution does not exist").at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte {
		return append(r.appendHistory(append(dst, `,"data":[`...), x.entry.LogID), ']')
	})
}

func (r *run) appendHistory(dst []byte, logID string) []byte {
	status, over := r.state()
	dst = appendString(append(dst, `{"execute_id":`...), r.id)
	dst = appendString(append(dst, `,"execute_status":`...), status)
	dst = appendString(append(dst, `,"bot_id":`...), r.botID)
	dst = appendString(append(dst, `,"debug_url":`...), r.debugURL())
	dst = strconv.AppendInt(append(dst, `,"run_mode":`...), int64(r.mode), 10)
	dst = strconv.AppendInt(append(dst, `,"create_time":`...), r.createdAt, 10)
	dst = appendString(append(dst, `,"logid":`...), logID)
	code, msg, output, trimmed := "", "", "", false
	switch {
	case status == "Fail":
		code, msg = strconv.Itoa(r.fault.code()), r.fault.msg()
	case over:
		if output = r.outputs(); len(output) > mostOutput {
			output, trimmed = output[:mostOutput], true
		}
	}
	dst = appendString(append(dst, `,"error_code":`...), code)
	dst = appendString(append(dst, `,"error_message":`...), msg)
	dst = appendString(append(dst, `,"output":`...), output)
	if over {
		dst = r.usage.append(append(dst, `,"usage":`...))
	}
	if over && r.interrupt() != 0 {
		dst = r.appendInterrupt(append(dst, `,"interrupt_data":`...))
	}
	dst = strconv.AppendBool(append(dst, `,"token":"0","connector_id":"1024","is_output_trimmed":`...), trimmed)
	return append(dst, '}')
}

// mostOutput is what a history has of a run's output.
const mostOutput = 1 << 20

// outputs is the output of a history: the end node's as Output, each output node's by its name.
func (r *run) outputs() string {
	dst := appendString([]byte(`{"Output":`), r.output)
	for i, text := range r.nodes {
		dst = appendString(append(appendString(append(dst, ','), "Message_"+strconv.Itoa(i+1)), ':'), text)
	}
	return string(append(dst, '}'))
}
