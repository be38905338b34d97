package embeddedredis_test

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkWrite measures writes beside a store full of keys that expire: what the clock costs its neighbours.
func BenchmarkWrite(b *testing.B) {
	for _, keys := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			rdb := start(b)
			p := rdb.Pipeline()
			for i := range keys {
				p.Set(b.Context(), fmt.Sprint("k", i), "v", time.Hour)
			}
			if _, err := p.Exec(b.Context()); err != nil && keys > 0 {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := rdb.Set(b.Context(), "k", "v", time.Hour).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
