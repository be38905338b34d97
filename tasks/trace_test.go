package tasks_test

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/tasks"
)

// TestTraceParent: a task belongs to the span that its producer is in, unless the
// producer names another one.
func TestTraceParent(t *testing.T) {
	l := tasktest.New(t, redistest.Embedded(t))
	span := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	const inSpan, other = "00-01000000000000000000000000000000-0200000000000000-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	own := tasktest.Turn("")
	own.TraceParent = other
	chats := []*tasks.Chat{tasktest.Turn(""), own}
	for i, ctx := range []struct {
		name string
		want [2]string
	}{{"in a span", [2]string{inSpan, other}}, {"in none", [2]string{"", other}}} {
		in := span
		if i == 1 {
			in = t.Context()
		}
		for j, e := range l.Tasks.EnqueueAll(in, []tasks.Item{{Chat: chats[0]}, {Chat: chats[1]}}) {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tasks.Decode(info.Payload)
			if err != nil || got.TraceParent != ctx.want[j] {
				t.Errorf("%s: traceparent %q, %v, want %q", ctx.name, got.TraceParent, err, ctx.want[j])
			}
		}
	}
	if chats[0].TraceParent != "" {
		t.Errorf("the caller's chat was changed: %q", chats[0].TraceParent)
	}
}
