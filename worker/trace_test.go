package worker_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// traced is a worker's spans, kept in memory.
type traced struct {
	*tracetest.InMemoryExporter
	provider *sdk.TracerProvider
}

func newTraced(options ...sdk.TracerProviderOption) *traced {
	e := tracetest.NewInMemoryExporter()
	return &traced{e, sdk.NewTracerProvider(append(options, sdk.WithSyncer(e))...)}
}

func (tr *traced) config(c *worker.Config) { c.TracerProvider = tr.provider }

// tree writes the spans as they stand under each other, in the order in which they
// began, each with its kind, what it says by these attributes, its events and its
// error.
func (tr *traced) tree() string {
	spans := tr.GetSpans()
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	known := map[trace.SpanID]bool{}
	for _, s := range spans {
		known[s.SpanContext.SpanID()] = true
	}
	var b strings.Builder
	var write func(parent trace.SpanID, indent string)
	write = func(parent trace.SpanID, indent string) {
		for _, s := range spans {
			under := s.Parent.SpanID()
			if !known[under] {
				under = trace.SpanID{} // the producer's
			}
			if under != parent {
				continue
			}
			b.WriteString(indent + s.Name + " " + s.SpanKind.String() + told(s) + "\n")
			write(s.SpanContext.SpanID(), indent+"  ")
		}
	}
	write(trace.SpanID{}, "")
	return b.String()
}

func told(s tracetest.SpanStub) string {
	text := ""
	for _, a := range s.Attributes {
		switch a.Key {
		case "cozeq.verdict", "cozeq.permit", "cozeq.attempt", "error.type", "coze.code", "gen_ai.usage.output_tokens":
			text += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
	}
	for _, e := range s.Events {
		text += " [" + e.Name + "]"
	}
	return text
}

// checkTree compares, and prints what is there.
func (tr *traced) checkTree(t *testing.T, want string) {
	t.Helper()
	if got, want := tr.tree(), strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// attributes of the first span of a name.
func (tr *traced) attributes(t *testing.T, name string) map[string]string {
	t.Helper()
	for _, s := range tr.GetSpans() {
		if s.Name == name {
			all := map[string]string{}
			for _, a := range s.Attributes {
				all[string(a.Key)] = a.Value.String()
			}
			return all
		}
	}
	t.Fatalf("no span %q in\n%s", name, tr.tree())
	return nil
}

// TestTrace follows a question from its producer's span to its answer.
func TestTrace(t *testing.T) {
	t.Parallel()
	producer, tr := newTraced(), newTraced()
	l := newLine(t, redistest.Embedded(t))
	stop := l.work(tr.config)
	ctx, span := producer.provider.Tracer("shop").Start(t.Context(), "checkout")
	id, err := l.tasks.Enqueue(ctx, tasks.Ask("7460", "why?"), tasks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := l.wait(id)
	stop()
	tr.checkTree(t, `
queued default internal
process default consumer cozeq.attempt=1 cozeq.verdict=done
  coze conversation/create client
  permit internal cozeq.permit=given
  invoke_agent client gen_ai.usage.output_tokens=`+fmt.Sprint(r.Usage.OutputCount)+` [chat created] [first token]
  publish internal
`)
	for _, s := range tr.GetSpans() {
		if s.SpanContext.TraceID() != span.SpanContext().TraceID() {
			t.Errorf("%s is in trace %s, want the producer's, %s", s.Name, s.SpanContext.TraceID(), span.SpanContext().TraceID())
		}
		if top := strings.HasSuffix(s.Name, " default"); top != (s.Parent.SpanID() == span.SpanContext().SpanID()) {
			t.Errorf("%s stands under the producer's span: %v, want %v", s.Name, !top, top)
		}
	}
	ask := tr.attributes(t, "invoke_agent")
	for name, want := range map[string]string{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "coze", "gen_ai.agent.id": "7460",
		"gen_ai.conversation.id": r.ConversationID, "gen_ai.response.id": r.ChatID, "gen_ai.request.stream": "true",
		"gen_ai.usage.input_tokens": fmt.Sprint(r.Usage.InputCount), "coze.chat.status": "completed",
		"server.address": "127.0.0.1", "server.port": l.fake.URL[strings.LastIndex(l.fake.URL, ":")+1:],
	} {
		if ask[name] != want {
			t.Errorf("invoke_agent: %s is %q, want %q", name, ask[name], want)
		}
	}
	if ask["coze.logid"] == "" || ask["gen_ai.response.time_to_first_chunk"] == "" {
		t.Errorf("invoke_agent: %v", ask)
	}
	attempt := tr.attributes(t, "process default")
	for name, want := range map[string]string{
		"messaging.system": "asynq", "messaging.message.id": id, "messaging.destination.name": "default",
		"messaging.operation.type": "process", "gen_ai.response.id": r.ChatID,
	} {
		if attempt[name] != want {
			t.Errorf("process: %s is %q, want %q", name, attempt[name], want)
		}
	}
}

// TestTraceOfTrouble has a question asked again, looked for, looked up and refused. All
// its attempts are in one trace, which begins in the queue, as nobody named another.
func TestTraceOfTrouble(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]string{
		"refused [[mock:code=4000]]": `
queued default internal
  process default consumer cozeq.attempt=1 cozeq.verdict=fail coze.code=4000 error.type=permanent [exception]
    coze conversation/create client
    permit internal cozeq.permit=given
    invoke_agent client coze.code=4000 error.type=permanent [exception]
    publish internal
`,
		"again [[mock:code=5000 times=1]]": `
queued default internal
  process default consumer cozeq.attempt=1 cozeq.verdict=retry coze.code=5000 error.type=transient [exception]
    coze conversation/create client
    permit internal cozeq.permit=given
    invoke_agent client coze.code=5000 error.type=transient [exception]
    put back internal
  process default consumer cozeq.attempt=2 cozeq.verdict=done
    permit internal cozeq.permit=given
    invoke_agent client gen_ai.usage.output_tokens=USED [chat created] [first token]
    publish internal
`,
		"cut [[mock:cut=5]]": `
queued default internal
  process default consumer cozeq.attempt=1 cozeq.verdict=done
    coze conversation/create client
    permit internal cozeq.permit=given
    invoke_agent client error.type=truncated [chat created] [first token] [exception]
    look up client
    publish internal
`,
		"hung up [[mock:hangup created times=1]]": `
queued default internal
  process default consumer cozeq.attempt=1 cozeq.verdict=done
    coze conversation/create client
    permit internal cozeq.permit=given
    invoke_agent client error.type=transient [exception]
    find client
    look up client
    publish internal
`,
	} {
		t.Run(question, func(t *testing.T) {
			t.Parallel()
			tr := newTraced()
			l := newLine(t, redistest.Embedded(t))
			stop := l.work(tr.config)
			r := l.ask(question)
			stop()
			if r.Usage != nil {
				want = strings.ReplaceAll(want, "USED", fmt.Sprint(r.Usage.OutputCount))
			}
			tr.checkTree(t, want)
			for _, s := range tr.GetSpans() {
				if s.SpanContext.TraceID() != tr.GetSpans()[0].SpanContext.TraceID() {
					t.Errorf("%s is in a trace of its own", s.Name)
				}
			}
			if r.Error != nil && tr.attributes(t, "process default")["coze.logid"] != r.Error.LogID {
				t.Errorf("logid %q, want %q", tr.attributes(t, "process default")["coze.logid"], r.Error.LogID)
			}
		})
	}
}

// TestTraceAcrossWorkers ends a task in another process than it began in, and with a
// sampler that would decide otherwise for a new trace.
func TestTraceAcrossWorkers(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		tr := newTraced()
		stop := l.work(tr.config, func(c *worker.Config) { c.Drain = -1 })
		id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
		awaittest.Until(t, "the chat to be noted", func() bool {
			r, err := l.store.Get(t.Context(), id)
			return err == nil && r.ChatID != ""
		})
		stop()
		second := newTraced(sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())))
		stop = l.work(second.config)
		l.completed(id)
		stop()
		if tr.provider.ForceFlush(t.Context()) != nil || len(tr.GetSpans()) == 0 || len(second.GetSpans()) == 0 {
			t.Fatalf("first\n%s\nsecond\n%s", tr.tree(), second.tree())
		}
		root := tr.GetSpans()[0]
		if root.Name != "queued default" || root.Parent.IsValid() {
			t.Errorf("first span is %s", root.Name)
		}
		second.checkTree(t, `
process default consumer cozeq.attempt=1 cozeq.verdict=done
  look up client
  publish internal
`)
		if s := second.GetSpans()[len(second.GetSpans())-1]; s.SpanContext.TraceID() != root.SpanContext.TraceID() || s.Parent.SpanID() != root.SpanContext.SpanID() {
			t.Errorf("the second attempt does not stand under %s", root.Name)
		}
	}, cozetest.WithRules(cozetest.Rule{Times: 1, Fault: cozetest.Fault{Kind: cozetest.Stall, After: 3}}))
}

// TestTraceSaysNothingOfContent looks for words of the question, the answer and the
// user in all that was exported.
func TestTraceSaysNothingOfContent(t *testing.T) {
	t.Parallel()
	tr := newTraced()
	l := newLine(t, redistest.Embedded(t))
	stop := l.work(tr.config)
	chat := tasks.Ask("bot", "Grundstück [[mock:cut=5]]")
	chat.UserID, chat.CustomID = "user-Pseudonym", "row-Pseudonym"
	chat.CustomVariables = map[string]string{"name": "Pseudonym"}
	chat.MetaData = map[string]string{"phone": "Pseudonym"}
	r := l.wait(l.enqueue(chat, tasks.Options{}))
	stop()
	if !strings.Contains(r.Answer, "Grundstück") {
		t.Fatalf("the answer does not repeat the question any more: %q", r.Answer)
	}
	all, err := json.Marshal(tr.GetSpans())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"Grundst", "Pseudonym"} {
		if bytes.Contains(all, []byte(word)) {
			t.Errorf("%q was exported", word)
		}
	}
}

// TestAttemptLog: a line of an attempt names its task, its chat and its trace, also in a
// process that traces nothing.
func TestAttemptLog(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		traceparent string
		traced      bool
		want        string // "" = none, "own" = one of its own
	}{
		"told":                  {parent, false, "0af7651916cd43dd8448eb211c80319c"},
		"told and traced":       {parent, true, "0af7651916cd43dd8448eb211c80319c"},
		"traced":                {"", true, "own"},
		"malformed, and traced": {"00-zz-01", true, "own"},
		"nothing":               {"", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTraced()
			var log bytes.Buffer
			l := newLine(t, redistest.Embedded(t))
			stop := l.work(func(cfg *worker.Config) {
				cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("worker", "w1")
				if c.traced {
					tr.config(cfg)
				}
			})
			chat := tasks.Ask("bot", "why? [[mock:cut=5]]")
			chat.TraceParent = c.traceparent
			r := l.wait(l.enqueue(chat, tasks.Options{}))
			stop()
			want := c.want
			if want == "own" {
				want = tr.GetSpans()[0].SpanContext.TraceID().String()
			}
			for _, message := range []string{"stream broke, looking the chat up", "task ended"} {
				line := lineWith(t, log.String(), message)
				id, _ := line["trace_id"].(string)
				if line["task"] != r.ID || line["chat"] != r.ChatID || id != want || line["worker"] != "w1" {
					t.Errorf("%v\nwant task %s, chat %s, trace %q", line, r.ID, r.ChatID, want)
				}
			}
			if n := strings.Count(log.String(), `"chat":"`+r.ChatID); n != 2 {
				t.Errorf("the chat is named %d times in two lines:\n%s", n, log.String())
			}
		})
	}
}

func lineWith(t *testing.T, log, message string) map[string]any {
	t.Helper()
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == message {
			return fields
		}
	}
	t.Fatalf("no line %q in\n%s", message, log)
	return nil
}
