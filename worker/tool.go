package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// Tool is a client-side tool that bots may call. The arguments are JSON. The output is best a JSON object, with the fields
// that the bot's plugin declares; anything else reaches the bot as {"output": ...}, and an error as {"error": "its text"}. Its
// context ends after Config.ToolTimeout, or when the attempt does, and says which call it is: see ToolCallOf. A tool may run twice
// for a call: once more if its worker died before the output was noted.
type Tool func(ctx context.Context, arguments json.RawMessage) (output string, err error)

// ToolCall is one call of a tool by a bot. Together ChatID, Round and ID are the same if it runs again, and for no other call.
type ToolCall struct {
	TaskID         string
	Tenant         string // of the task, see tasks.Chat
	BotID          string
	ConversationID string
	ChatID         string
	Round          int    // of the chat's calls, from 1
	ID             string // Coze's; other rounds may have the same
	Name           string
}

type toolCallKey struct{}

// ToolCallOf is the call that a tool's context is for.
func ToolCallOf(ctx context.Context) ToolCall {
	call, _ := ctx.Value(toolCallKey{}).(ToolCall)
	return call
}

// Defaults and bounds of tools.
const (
	DefaultToolTimeout = time.Minute
	DefaultToolRounds  = 10

	// MaxToolOutput is the most bytes of one output. It is kept in Redis until the task ends.
	MaxToolOutput = 256 << 10

	toolsAtOnce  = 8               // of one round
	ofTask       = "(task)"        // counts the tools that tasks bring along, whose names are anybody's
	toolGrace    = 2 * time.Second // for a tool whose time is up, to say so itself
	maxToolError = 1000            // bytes of it that the bot is told
	maxToolRuns  = 2               // of one round
)

var (
	errToolSlow  = errors.New("the tool took too long")
	errToolArgs  = errors.New("the arguments are no JSON")
	errToolTwice = errors.New("the tool was interrupted each time it ran")
)

// completeTools checks what Config says of tools.
func (c *Config) completeTools() error {
	for name, tool := range c.Tools {
		if name == "" || tool == nil {
			return fmt.Errorf("worker: tool %q has no name or does nothing", name)
		}
	}
	c.ToolTimeout, c.ToolRounds = cmp.Or(c.ToolTimeout, DefaultToolTimeout), cmp.Or(c.ToolRounds, DefaultToolRounds)
	if c.ToolTimeout < 0 || c.ToolRounds < 0 {
		return fmt.Errorf("worker: tools with %v and %d rounds, want positive ones", c.ToolTimeout, c.ToolRounds)
	}
	return nil
}

// tool is the one of this name: the task's own, or the worker's. nil: there is none. label is its name in the metrics.
func (t *toolRounds) tool(name string) (tool Tool, label string) {
	if to, own := t.payload.Tools[name]; own && t.cfg.TaskTool != nil {
		return t.cfg.TaskTool(to), ofTask
	}
	return t.cfg.Tools[name], name
}

// run runs the tools of a round, some at a time, and returns their outputs by call.
func (t *toolRounds) run(ctx context.Context, round int, calls []coze.ToolCall) map[string]string {
	var mu sync.Mutex
	outputs := make(map[string]string, len(calls))
	slots := make(chan struct{}, toolsAtOnce)
	var running sync.WaitGroup
	for _, call := range calls {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			output := t.runOne(ctx, round, call)
			mu.Lock()
			defer mu.Unlock()
			outputs[call.ID] = output
		})
	}
	running.Wait()
	return outputs
}

// runOne runs one tool. Its failure is the bot's to deal with, so it becomes the output.
func (t *toolRounds) runOne(ctx context.Context, round int, call coze.ToolCall) string {
	began, name := time.Now(), call.Function.Name
	tool, label := t.tool(name)
	span := t.spans.Step("tool " + name)
	r := &t.rec.Result
	output, err := t.outputOf(context.WithValue(ctx, toolCallKey{}, ToolCall{
		TaskID: t.id, Tenant: t.payload.Tenant, BotID: t.payload.BotID, ConversationID: r.ConversationID, ChatID: r.ChatID,
		Round: round, ID: call.ID, Name: name,
	}), tool, call.Function.Arguments)
	span.End(err)
	outcome := "ok"
	switch {
	case ctx.Err() != nil: // the attempt has ended, and nobody is told
		outcome = "interrupted"
	case errors.Is(err, errToolSlow):
		outcome = "timeout"
	case err != nil:
		outcome = "error"
	}
	t.cfg.Metrics.ToolCall(label, outcome)
	t.log.Debug("a tool has run", "tool", name, "outcome", outcome, "took", time.Since(began).Round(time.Millisecond), "err", err)
	if err != nil {
		return toolFailure(err)
	}
	return output
}

func (t *toolRounds) outputOf(ctx context.Context, tool Tool, text string) (string, error) {
	arguments := json.RawMessage(strings.TrimSpace(text))
	if len(arguments) == 0 {
		arguments = json.RawMessage("{}")
	}
	if !json.Valid(arguments) {
		return "", errToolArgs
	}
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.ToolTimeout, fmt.Errorf("%w: more than %v", errToolSlow, t.cfg.ToolTimeout))
	defer cancel()
	output, err := protected(ctx, tool, arguments)
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", err
	}
	if output = objectOf(output); len(output) > MaxToolOutput {
		return "", fmt.Errorf("the output has %d bytes, more than %d", len(output), MaxToolOutput)
	}
	return output, nil
}

// protected runs a tool that may panic, or stay on after its time.
func protected(ctx context.Context, tool Tool, arguments json.RawMessage) (string, error) {
	type outcome struct {
		output string
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = fmt.Errorf("the tool panicked: %v", p)
			}
			done <- o
		}()
		o.output, o.err = tool(ctx, arguments)
	}()
	select {
	case o := <-done:
		return o.output, o.err
	case <-ctx.Done():
	}
	late := time.NewTimer(toolGrace)
	defer late.Stop()
	select {
	case o := <-done:
		return o.output, o.err
	case <-late.C:
		return "", context.Cause(ctx)
	}
}

// objectOf is an output as plugins give theirs: a JSON object. Anything else, JSON or text, becomes the field output of one.
func objectOf(output string) string {
	text := strings.TrimSpace(output)
	switch valid := json.Valid([]byte(text)); {
	case valid && text[0] == '{':
		return text
	case valid:
		return `{"output":` + text + `}`
	}
	return field("output", strings.ToValidUTF8(text, "\uFFFD"))
}

func toolFailure(err error) string {
	text := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(text) > maxToolError {
		text = strings.ToValidUTF8(text[:maxToolError], "") + "..."
	}
	return field("error", text)
}

// field is a JSON object of one text, as it is: a bot reads it.
func field(name, text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]string{name: text}) // strings always encode
	return strings.TrimSpace(b.String())
}
