package record_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// BenchmarkDelta reports what a piece of an answer costs Redis, in microseconds inside of the script: with nobody who
// watches, and with one who does. It is the least of rounds of 500, as Redis counts the time in which others had its core.
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
			least, n := math.Inf(1), 0
			for b.Loop() {
				delta(b, a, record.DeltaText, fmt.Sprint(text, n))
				if n++; n%500 == 0 {
					least = min(least, scriptTime(b, rdb))
					rdb.ConfigResetStat(b.Context())
				}
			}
			b.ReportMetric(least, "redis-us/delta")
		})
	}
}

// scriptTime is how long a script took inside of Redis in microseconds, since the last CONFIG RESETSTAT.
func scriptTime(b *testing.B, rdb redis.UniversalClient) float64 {
	stats, err := rdb.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(stats) {
		var calls, usec float64
		if _, err := fmt.Sscanf(line, "cmdstat_evalsha:calls=%f,usec=%f", &calls, &usec); err == nil {
			return usec / calls
		}
	}
	b.Fatalf("no scripts in %s", stats)
	return 0
}
