package coze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// WorkflowEvent is one thing that a run's stream told: a piece of a node's message, or the end of the run.
type WorkflowEvent struct {
	Message *WorkflowMessage // nil at the end
	Run     *WorkflowRun     // set at the end: a run that is over
}

// WorkflowMessage is a piece of a node's message.
type WorkflowMessage struct {
	Text       string
	Node       string // the node's title, "" for some end nodes
	NodeID     string // "" from older servers
	End        bool   // it is the end node's
	Finished   bool   // the node's last piece
	ExecutedAs string // the id of this execution of the node
	usage      *Usage
	tokens     int64
}

// endNode is the id that Coze gives to the end node of every workflow.
const endNode = "900001"

// UnmarshalJSON reads the data of a Message event.
func (m *WorkflowMessage) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got WorkflowMessage
	kind := ""
	for o.next() {
		switch string(o.name) {
		case "content":
			got.Text = textOf(o.value)
		case "node_title":
			got.Node = textOf(o.value)
		case "node_id":
			got.NodeID = idOf(o.value)
		case "node_type":
			kind = textOf(o.value)
		case "node_is_finish":
			got.Finished = textOf(o.value) == "true"
		case "node_execute_uuid":
			got.ExecutedAs = textOf(o.value)
		case "usage":
			got.usage = usageOf(o.value)
		case "token":
			got.tokens = integerOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	got.End = got.NodeID == endNode || kind == "End" ||
		got.NodeID == "" && (got.Node == "" || got.Node == "End" || got.Node == "结束")
	*m = got
	return nil
}

// Accumulate folds a stream's message into the run: pieces of one message are joined.
func (r *WorkflowRun) Accumulate(m *WorkflowMessage) {
	if m.usage != nil {
		r.Usage = m.usage
	}
	r.countTokens(m.tokens)
	node := m.NodeID + "\x00" + m.Node + "\x00" + m.ExecutedAs
	switch {
	case m.End:
		r.Output += m.Text
	case r.ended == node && len(r.Nodes) > 0:
		r.Nodes[len(r.Nodes)-1].Text += m.Text
	default:
		r.Nodes = append(r.Nodes, NodeOutput{Node: m.Node, Text: m.Text})
	}
	if r.ended = node; m.Finished {
		r.ended = ""
	}
}

// WorkflowStream is a run in progress. Use it from one goroutine; only Close may be called from any.
type WorkflowStream struct {
	eventStream

	heard bool // an event of the run came
	ended bool // the end node has said all
	run   WorkflowRun
	size  int
}

// StreamWorkflow runs a workflow and returns when the headers of Coze's reply are there. IsAsync is ignored. An error, an
// [*Error], means that the run was refused or may not have arrived: see its Zone. Close the stream, or read its Events to
// their end.
func (c *Client) StreamWorkflow(ctx context.Context, request *WorkflowRequest) (*WorkflowStream, error) {
	var own WorkflowRequest
	if request != nil {
		own = *request
		own.IsAsync = false
	}
	a, err := own.call(opWorkflowStream)
	if err != nil {
		return nil, err
	}
	return c.streamRun(ctx, a)
}

// StreamResume goes on with a run that StreamWorkflow began: see ResumeWorkflow for the limits.
func (c *Client) StreamResume(ctx context.Context, request *ResumeRequest) (*WorkflowStream, error) {
	a, err := request.call(opResumeStream)
	if err != nil {
		return nil, err
	}
	return c.streamRun(ctx, a)
}

func (c *Client) streamRun(ctx context.Context, a call) (*WorkflowStream, error) {
	s := new(WorkflowStream)
	env, err := s.start(ctx, c, a)
	if err != nil {
		return nil, err
	}
	if env != nil {
		e := s.exchange.failure()
		e.Class, e.Err = ClassTruncated, fmt.Errorf("%w: the run was taken, but the reply is no stream", ErrTruncated)
		return nil, e
	}
	s.exchange.adoptRun(&s.run)
	return s, nil
}

// Began reports whether an event of the run has come.
func (s *WorkflowStream) Began() bool { return s.heard }

// Run is the run as far as its events have told.
func (s *WorkflowStream) Run() *WorkflowRun { return &s.run }

// Events yields the messages of the run's nodes as they come, once, and last the run. It ends without an error only after the
// end of a run that did not fail. A run that failed or is interrupted comes with its [WorkflowRun.Err]. Any other error, also
// an [*Error], comes alone and last. When Events has ended, the stream is closed.
func (s *WorkflowStream) Events() iter.Seq2[WorkflowEvent, error] {
	return events(&s.eventStream, opWorkflowStream, s.next, func(e WorkflowEvent) bool { return e.Run != nil })
}

func (s *WorkflowStream) next() (WorkflowEvent, error) {
	for {
		f, err := s.frames.next()
		if s.ended && errors.Is(err, io.EOF) { // a Done without data is no event
			s.run.Status = RunSucceeded
			return s.over()
		}
		if err != nil {
			return WorkflowEvent{}, s.cut(err)
		}
		s.body.again = true // also after a PING, which says that the workflow runs
		switch strings.ToLower(string(f.kind())) {
		case "message":
			s.heard = true
			m := new(WorkflowMessage)
			if err := m.UnmarshalJSON(f.data); err != nil {
				return WorkflowEvent{}, s.cut(err)
			}
			if s.size += len(m.Text); s.size > s.frames.max {
				return WorkflowEvent{}, s.cut(fmt.Errorf("%w of %d bytes", ErrAnswerTooLarge, s.frames.max))
			}
			s.run.Accumulate(m)
			s.ended = s.ended || m.End && m.Finished
			return WorkflowEvent{Message: m}, nil
		case "interrupt":
			s.interrupt(f.data)
			return s.over()
		case "error":
			return s.failed(f.data)
		case "done":
			s.learnURL(f.data)
			s.run.Status = RunSucceeded
			return s.over()
		}
	}
}

func (s *WorkflowStream) over() (WorkflowEvent, error) {
	s.heard = true
	s.body.rest(tailTime)
	for _, err := s.frames.next(); err == nil; _, err = s.frames.next() { // so that the connection can be used again
	}
	s.run.Output = nodeText(s.run.Output)
	event := WorkflowEvent{Run: &s.run}
	if e := s.run.Err(); e != nil {
		return event, e
	}
	return event, nil
}

func (s *WorkflowStream) learnURL(data []byte) {
	if page := debugURLOf(data); page != "" {
		s.run.DebugURL, s.run.ExecuteID = page, executeIDOf(page)
	}
}

// debugURLOf reads the data of an event that ends a stream, "" if it names no page.
func debugURLOf(data []byte) (page string) {
	o := object{b: bytes.TrimSpace(data)}
	for o.next() {
		if string(o.name) == "debug_url" {
			page = textOf(o.value)
		}
	}
	return page
}

func (s *WorkflowStream) interrupt(data []byte) {
	o := object{b: data}
	title := ""
	for o.next() {
		switch string(o.name) {
		case "interrupt_data":
			s.run.Interrupt = interruptOf(o.value)
		case "node_title":
			title = textOf(o.value)
		}
	}
	if s.run.Interrupt == nil {
		s.run.Interrupt = new(Interrupt)
	}
	s.run.Interrupt.Node = title
}

// failed handles an Error event. Before any message it is a refusal: no run is under way.
func (s *WorkflowStream) failed(data []byte) (WorkflowEvent, error) {
	s.learnURL(data)
	s.run.Status = RunFailed
	o := object{b: bytes.TrimSpace(data)}
	for o.next() {
		switch string(o.name) {
		case "error_code", "code":
			s.run.ErrorCode = int(integerOf(o.value))
		case "error_message", "msg":
			s.run.ErrorMessage = s.exchange.hide(textOf(o.value))
		}
	}
	if s.heard || s.run.ErrorCode == 0 {
		return s.over()
	}
	e := s.run.Err()
	e.Zone, e.Ended = ZoneRefused, false
	if s.exchange.refusedToken(e) {
		_ = s.exchange.renew(s.ctx, e) // for the next run: this stream is spent
	}
	return WorkflowEvent{}, e
}

// cut is the failure of a stream that ended before the run did. Nothing names the run, so it cannot be looked up.
func (s *WorkflowStream) cut(err error) *Error { return s.exchange.failure().cut(s.ctx, s.heard, err) }
