package webhook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/nodetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// TestVerifiedByOthers lets the npm packages standardwebhooks and openai judge what is sent. It is skipped where node or
// the npm registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestVerifiedByOthers(t *testing.T) {
	project := nodetest.Install(t, "testdata/node")
	r := newRig(t, redistest.Embedded(t), nil).start()
	r.schedule("task.1")
	attempt := r.Begin("task.1")
	attempt.Result.Status, attempt.Result.Answer = results.Completed, `1+1 是 <2> & "more" 🙂`
	r.Must(attempt.Finish(t.Context(), false))
	all := []delivery{r.receiver.next(t)}
	r.Must(r.Schedule(t.Context(), webhook.Batch, "batch", webhook.Target{URL: r.receiver.URL}))
	c := batches.New(r.Tasks)
	if _, _, err := c.Create(t.Context(), batches.Spec{ID: "batch", Rows: 1, BotID: "1"}); err != nil {
		t.Fatal(err)
	}
	r.Must(c.Cancel(t.Context(), "batch", func(int, int) {}))
	all = append(all, r.receiver.next(t))
	answer, err := r.client.Call(t.Context(), webhook.Target{URL: r.receiver.URL}, "tool-1", []byte(`{"type":"tool.called","data":{"id":"tool-1"}}`))
	if err != nil || answer != "" {
		t.Errorf("%q %v", answer, err)
	}
	all = append(all, r.receiver.next(t))
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(project.Dir, "deliveries.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	project.Run(t, 15, "DELIVERIES="+file, "SECRETS="+oldSecret+" "+newSecret, "STRANGER=whsec_"+strings.Repeat("c3RyYW5nZXIg", 3))
}
