package worker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const (
	runPath     = "/v1/workflow/run"
	streamPath  = "/v1/workflow/stream_run"
	historyPath = "/v1/workflows/:workflow_id/run_histories/:execute_id"
)

// workflow is the task of a run whose parameter is this word.
func workflow(word string) *tasks.Chat {
	name, _ := json.Marshal(word)
	return tasks.RunWorkflow("73664689170551", map[string]json.RawMessage{"name": name})
}

// inputOf is what the fake knows a run by.
func inputOf(word string) string {
	all, _ := json.Marshal(workflow(word).Parameters)
	return string(all)
}

// TestWorkflow: a run is asynchronous unless its pieces are wanted, and its output is the answer.
func TestWorkflow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.work()
		streamed := workflow("pieces [[mock:answers=2]]")
		streamed.Stream = true
		long := strings.Repeat("long ", 1000) // kept beside the payload
		for word, chat := range map[string]*tasks.Chat{"Ann": workflow("Ann"), "pieces": streamed, strings.TrimSpace(long): workflow(strings.TrimSpace(long))} {
			r := l.wait(l.enqueue(chat, tasks.Options{}))
			var output struct{ Name, Output string }
			if err := json.Unmarshal([]byte(r.Answer), &output); err != nil || r.Status != results.Completed || output.Name != word {
				t.Fatalf("%.20s: %+v %+v", word, r, r.Error)
			}
			if r.WorkflowID != chat.WorkflowID || r.ExecuteID == "" || r.ExecuteID != r.ChatID || r.DebugURL == "" || r.Usage == nil || r.Attempts != 1 {
				t.Errorf("%.20s: %+v", word, r)
			}
		}
		if a, s := l.fake.Calls(runPath), l.fake.Calls(streamPath); a != 2 || s != 1 {
			t.Errorf("%d asynchronous runs and %d streamed ones, want 2 and 1", a, s)
		}
	})
}

// TestWorkflowStream: the readers of a run's pieces have its answer at the end, whatever its nodes have said.
func TestWorkflowStream(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	chat := workflow("x [[mock:answers=2]]")
	chat.Stream = true
	text, all := "", ""
	for piece, err := range l.tasks.Stream(t.Context(), l.enqueue(chat, tasks.Options{})) {
		if err != nil {
			t.Fatal(err)
		}
		if piece.Restart {
			text = ""
		}
		text, all = text+piece.Text, all+piece.Text
		if piece.Result != nil && text != piece.Result.Answer {
			t.Errorf("pieces %q, answer %q", text, piece.Result.Answer)
		}
	}
	if !strings.Contains(all, "Message 2 of 2") {
		t.Errorf("the nodes' messages are not among the pieces: %q", all)
	}
}

// TestWorkflowFaults runs a workflow for each thing that can go wrong.
func TestWorkflowFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		word     string
		stream   bool
		status   results.Status
		class    string
		attempts int
		runs     int
		twice    bool // possible_duplicate
	}{
		{"rate [[mock:code=4013 times=1]]", false, results.Completed, "", 1, 1, false},
		{"no such workflow [[mock:code=720702011]]", false, results.Failed, "permanent", 1, 0, false},
		{"failed [[mock:fail=720702001]]", false, results.Failed, "permanent", 1, 1, false},
		{"timed out [[mock:fail=720702085]]", false, results.Failed, "transient", 2, 2, false},
		{"hangup, not taken [[mock:hangup times=1]]", false, results.Completed, "", 2, 1, true},
		{"hangup, taken [[mock:hangup created times=1]]", false, results.Completed, "", 2, 2, true},
		{"asks [[mock:ask_back]]", false, results.Failed, "action", 1, 1, false},
		{"cut [[mock:cut=1 answers=2 times=1]]", true, results.Completed, "", 2, 2, true},
		{"fails in its stream [[mock:fail=720702001 answers=2]]", true, results.Failed, "permanent", 1, 1, false},
		{"asks in its stream [[mock:ask_back]]", true, results.Failed, "action", 1, 1, false},
	} {
		t.Run(tt.word, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t))
			l.work()
			chat := workflow(tt.word)
			chat.Stream = tt.stream
			r := l.wait(l.enqueue(chat, tasks.Options{Attempts: 3}))
			if r.Status != tt.status || r.Attempts != tt.attempts || r.PossibleDuplicate != tt.twice || l.fake.ByQuestion(inputOf(tt.word)) != tt.runs {
				t.Errorf("%+v %+v, %d runs", r, r.Error, l.fake.ByQuestion(inputOf(tt.word)))
			}
			if tt.class != "" && (r.Error == nil || r.Error.Class != tt.class) {
				t.Errorf("%+v, want class %s", r.Error, tt.class)
			}
		})
	}
}

// TestWorkflowResume: the record of an interrupted run has what it takes to go on with it.
func TestWorkflowResume(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	for _, stream := range []bool{false, true} {
		chat := workflow("x [[mock:ask_back]]")
		chat.Stream = stream
		r := l.wait(l.enqueue(chat, tasks.Options{}))
		if r.Interrupt == nil || !strings.Contains(r.Error.Message, "Which city, and which day?") {
			t.Fatalf("%+v %+v", r, r.Error)
		}
		next := &tasks.Chat{WorkflowID: chat.WorkflowID, Stream: stream, Resume: &tasks.Resume{
			EventID: r.Interrupt.EventID, InterruptType: r.Interrupt.Type, Data: "Berlin"}}
		if r = l.wait(l.enqueue(next, tasks.Options{})); r.Status != results.Completed || !strings.Contains(r.Answer, `"answer":"Berlin"`) || r.Interrupt != nil {
			t.Errorf("%+v %+v", r, r.Error)
		}
	}
}

// TestWorkflowCut: an output that Coze has cut is an answer with a warning, which says where all of it is.
func TestWorkflowCut(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	r := l.wait(l.enqueue(workflow(strings.Repeat("large ", 100_000)), tasks.Options{}))
	if r.Status != results.Completed || r.Answer == "" || r.DebugURL == "" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "debug_url") {
		t.Errorf("%.500s %s %q %+v", r.Answer, r.DebugURL, r.Warnings, r.Error)
	}
}

// TestWorkflowShutdown: a worker that stops puts a run back, and another one waits for its end.
func TestWorkflowShutdown(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	stop := l.work(noDrain)
	id := l.enqueue(workflow("slow [[mock:latency=2s]]"), tasks.Options{})
	awaittest.Until(t, "the run is noted", func() bool { r, _ := l.store.Get(t.Context(), id); return r != nil && r.ExecuteID != "" })
	stop()
	l.work()
	if r := l.wait(id); r.Status != results.Completed || r.PossibleDuplicate || l.fake.Calls(runPath) != 1 {
		t.Errorf("%+v %+v, %d runs", r, r.Error, l.fake.Calls(runPath))
	}
}

// TestWorkflowCancel: a canceled task leaves its run behind, and says so.
func TestWorkflowCancel(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	id := l.enqueue(workflow("for ever [[mock:then=running]]"), tasks.Options{})
	awaittest.Until(t, "the run is looked up", func() bool { return l.fake.Calls(historyPath) > 0 })
	l.cancel(id)
	if r := l.wait(id); r.Status != results.Canceled || r.ExecuteID == "" || len(r.Warnings) != 1 {
		t.Errorf("%+v %+v", r, r.Error)
	}
}

// TestWorkflowFreePlan: a plan without asynchronous runs gets streamed ones, and is asked for the other kind once.
func TestWorkflowFreePlan(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t), func(c *cozetest.Config) { c.NoAsync = true })
	l.work()
	for range 2 {
		if r := l.wait(l.enqueue(workflow("Ann"), tasks.Options{})); r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate {
			t.Errorf("%+v %+v", r, r.Error)
		}
	}
	if a, s := l.fake.Calls(runPath), l.fake.Calls(streamPath); a != 1 || s != 2 {
		t.Errorf("%d asynchronous runs and %d streamed ones, want 1 and 2", a, s)
	}
}

func noDrain(c *worker.Config) { c.Drain = -time.Second }
