package worker_test

import (
	"fmt"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestHint lets a worker ask once what the plan allows, when a question first waits,
// and begin from there.
func TestHint(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{Rate: 500}))
	var ids []string
	for i := range 100 {
		ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
	}
	l.work()
	const path = "/v1/commerce/benefit/benefits/get"
	awaittest.Until(t, "the hint to be asked for", func() bool { return l.fake.Calls(path) > 0 })
	awaittest.Until(t, "the rate", func() bool {
		limits, err := worker.Limits(t.Context(), l.rdb)
		return err == nil && len(limits) == 1 && limits[0].Rate >= 450
	})
	for _, id := range ids {
		l.completed(id)
	}
	if n := l.fake.Calls(path); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}
