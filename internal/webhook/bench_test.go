package webhook_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
)

// BenchmarkWatch is what a task costs whose end is waited for, and how many ends a process delivers a second, beside what
// it takes to schedule them.
func BenchmarkWatch(b *testing.B) {
	const n = 20_000
	for b.Loop() {
		r := newRig(b, redistest.Start(b).Client(), nil)
		heap := func() uint64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc + m.StackInuse
		}
		var items []tasks.Item
		for i := range n {
			items = append(items, tasks.Item{Chat: tasktest.Turn(""), Options: tasks.Options{ID: fmt.Sprint("0198c1de-aaaa-7000-8000-", 100_000_000_000+i)}})
		}
		if err := r.Tasks.EnqueueAll(b.Context(), items).FirstErr(); err != nil {
			b.Fatal(err)
		}
		before := heap()
		began := time.Now()
		for _, item := range items {
			r.Must(r.Schedule(b.Context(), webhook.Task, item.Options.ID, webhook.Target{URL: r.receiver.URL}))
		}
		b.ReportMetric(n/time.Since(began).Seconds(), "scheduled/s")
		r.start()
		channels := func() int {
			found, err := r.Redis.Do(b.Context(), "pubsub", "channels", "cozeq:done:*").Slice()
			if err != nil {
				b.Fatal(err)
			}
			return len(found)
		}
		awaittest.Until(b, "all are watched", func() bool { return channels() == n })
		b.ReportMetric(float64(heap()-before)/n, "B/waiting")
		began = time.Now()
		const ends = 2000
		go func() {
			for _, item := range items[:ends] {
				r.Answer(item.Options.ID)
			}
		}()
		for range ends {
			r.receiver.next(b)
		}
		b.ReportMetric(ends/time.Since(began).Seconds(), "delivered/s")
	}
}
