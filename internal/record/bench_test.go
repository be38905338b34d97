package record_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// BenchmarkDelta reports what a piece of an answer costs Redis, in microseconds inside of the script: with nobody who
// watches, and with one who does.
func BenchmarkDelta(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprint("watched=", watched), func(b *testing.B) {
			rdb := redistest.Start(b).Client()
			s := newStore(b, rdb)
			tasktest.Create(b, s.reader, "t1")
			a := tasktest.Begin(b, s.reader, "t1")
			if watched {
				sub := rdb.Subscribe(b.Context(), results.DeltasKey("t1"))
				defer sub.Close()
				messages := sub.Channel(redis.WithChannelSize(1000))
				go func() {
					for range messages {
					}
				}()
			}
			text := strings.Repeat("a piece ", 5)
			delta(b, a, record.DeltaText, text)
			rdb.ConfigResetStat(b.Context())
			n := 0
			for b.Loop() {
				delta(b, a, record.DeltaText, fmt.Sprint(text, n))
				n++
			}
			stats, err := rdb.Info(b.Context(), "commandstats").Result()
			if err != nil {
				b.Fatal(err)
			}
			for line := range strings.Lines(stats) {
				var calls, usec int64
				if _, err := fmt.Sscanf(line, "cmdstat_evalsha:calls=%d,usec=%d", &calls, &usec); err == nil {
					b.ReportMetric(float64(usec)/float64(calls), "redis-us/delta")
				}
			}
		})
	}
}
