package embeddedredis_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/embeddedredis"
)

// start returns the client of a store that ends with the test.
func start(t testing.TB, opts ...embeddedredis.Option) redis.UniversalClient {
	t.Helper()
	s, err := embeddedredis.Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Client()
}

func TestStoresAreApart(t *testing.T) {
	a, b := start(t), start(t)
	if err := a.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Fatalf("GET in the other store: %v, want redis.Nil", err)
	}
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := start(t)
		ctx := t.Context()
		if err := rdb.Set(ctx, "string", "v", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.HSet(ctx, "hash", "f", "v").Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Expire(ctx, "hash", 24*time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		exist := func(want int64) {
			t.Helper()
			if n, err := rdb.Exists(ctx, "string", "hash").Result(); err != nil || n != want {
				t.Fatalf("%d keys, %v; want %d", n, err, want)
			}
		}
		exist(2)
		time.Sleep(59 * time.Second)
		exist(2)
		time.Sleep(2 * time.Second)
		exist(1)
		time.Sleep(24*time.Hour - 62*time.Second)
		exist(1)
		time.Sleep(2 * time.Second)
		exist(0)
	})
}

func TestXReadBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := start(t)
		ctx := t.Context()
		read := func(block time.Duration) ([]redis.XStream, error) {
			return rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: block}).Result()
		}
		before := time.Now()
		if _, err := read(10 * time.Second); !errors.Is(err, redis.Nil) {
			t.Fatalf("XREAD of nothing: %v, want redis.Nil", err)
		}
		if d := time.Since(before); d != 10*time.Second {
			t.Fatalf("blocked for %v, want 10s", d)
		}

		time.AfterFunc(time.Second, func() {
			rdb.XAdd(ctx, &redis.XAddArgs{Stream: "s", MaxLen: 10, Approx: true, Values: []string{"type", "delta"}})
		})
		got, err := read(0)
		if err != nil || len(got) != 1 || got[0].Messages[0].Values["type"] != "delta" {
			t.Fatalf("XREAD: %v, %v", got, err)
		}
	})
}

func TestScripts(t *testing.T) {
	rdb := start(t)
	ctx := t.Context()
	script := redis.NewScript(`
		local t = cjson.decode(ARGV[1])
		t.n = t.n + 1
		redis.call('HSET', KEYS[1], 'json', cjson.encode({n = t.n}))
		redis.call('PEXPIRE', KEYS[1], ARGV[2])
		redis.call('PUBLISH', 'channel', t.n)
		return {t.n, redis.call('HGET', KEYS[1], 'json'), redis.error_reply and 'ok'}`)
	for range 2 { // EVALSHA -> NOSCRIPT -> EVAL, then EVALSHA
		got, err := script.Run(ctx, rdb, []string{"{a}:k"}, `{"n":1}`, 60_000).Slice()
		if err != nil || fmt.Sprint(got) != `[2 {"n":2} ok]` {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if d, err := rdb.PTTL(ctx, "{a}:k").Result(); err != nil || d <= 0 {
		t.Fatalf("PTTL = %v, %v", d, err)
	}
	if err := rdb.Eval(ctx, `return redis.error_reply('BUSY now')`, nil).Err(); err == nil || !strings.HasPrefix(err.Error(), "BUSY") {
		t.Fatalf("error reply: %v", err)
	}
}

func TestTransaction(t *testing.T) {
	rdb := start(t)
	ctx := t.Context()
	err := rdb.Watch(ctx, func(tx *redis.Tx) error {
		if err := rdb.Set(ctx, "k", "other", 0).Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "k", "mine", 0).Err() })
		return err
	}, "k")
	if !errors.Is(err, redis.TxFailedErr) {
		t.Fatalf("a key that changed under WATCH: %v, want TxFailedErr", err)
	}
}

// A pipeline far above any buffer must neither lock up nor mix its answers.
func TestLargePipeline(t *testing.T) {
	rdb := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	value := strings.Repeat("v", 2<<10)
	const n = 5000
	cmds, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(ctx, fmt.Sprint("k", i), fmt.Sprint(i, value), 0)
		}
		for i := range n {
			p.Get(ctx, fmt.Sprint("k", i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got := cmds[n+i].(*redis.StringCmd).Val(); got != fmt.Sprint(i, value) {
			t.Fatalf("answer %d is %.20q...", i, got)
		}
	}
}

func TestPubSub(t *testing.T) {
	rdb := start(t)
	ctx := t.Context()
	sub := rdb.Subscribe(ctx, "a")
	defer sub.Close()
	confirm := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sub.Receive(ctx); err != nil {
			t.Fatalf("%v, %v", got, err)
		}
	}
	confirm(nil)
	confirm(sub.Subscribe(ctx, "b"))
	confirm(sub.PSubscribe(ctx, "p:*"))
	confirm(sub.Unsubscribe(ctx, "a"))
	for channel, want := range map[string]int64{"a": 0, "b": 1, "p:1": 1} {
		n, err := rdb.Publish(ctx, channel, channel).Result()
		if err != nil || n != want {
			t.Errorf("PUBLISH %s reached %d, %v; want %d", channel, n, err, want)
		}
		if want == 0 {
			continue
		}
		if m, err := sub.ReceiveMessage(ctx); err != nil || m.Channel != channel {
			t.Errorf("got %v, %v; want a message on %s", m, err, channel)
		}
	}
	// Leave all, then come back on the same subscription.
	confirm(sub.Unsubscribe(ctx, "b"))
	confirm(sub.PUnsubscribe(ctx, "p:*"))
	confirm(sub.Subscribe(ctx, "a"))
	if n, err := rdb.Publish(ctx, "a", "again").Result(); err != nil || n != 1 {
		t.Fatalf("PUBLISH after coming back reached %d, %v", n, err)
	}
	if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != "again" {
		t.Fatalf("got %v, %v", m, err)
	}
}

// A subscriber that does not read must stop neither publishers nor anybody else.
func TestIdleSubscriber(t *testing.T) {
	rdb := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub := rdb.Subscribe(ctx, "a")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	payload := strings.Repeat("x", 1<<10)
	for range n {
		if err := rdb.Publish(ctx, "a", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != payload {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

func TestContextEndsACommand(t *testing.T) {
	rdb := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: time.Hour}).Err()
	if err == nil || errors.Is(err, redis.Nil) {
		t.Fatalf("XREAD BLOCK past its context: %v", err)
	}
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// Close returns while commands block and messages are under way; after it, everything fails and nothing hangs.
func TestClose(t *testing.T) {
	s, err := embeddedredis.Start(embeddedredis.PoolSize(8))
	if err != nil {
		t.Fatal(err)
	}
	rdb := s.Client()
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "$"}, Block: 0}).Err(); err == nil {
				t.Error("XREAD of an empty stream returned without an error")
			}
		})
		wg.Go(func() {
			for rdb.Publish(ctx, "a", "m").Err() == nil {
			}
		})
	}
	sub := rdb.Subscribe(ctx, "a")
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.ReceiveMessage(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := rdb.Ping(ctx).Err(); err == nil {
		t.Error("PING after Close succeeded")
	}
	for err = nil; err == nil; _, err = sub.ReceiveMessage(ctx) { // what had arrived before, then an error
	}
	_ = sub.Close()
}

// TestKeysThatAreGoneTakeNoMemory has keys come and go, as the rows of a run do. It is not parallel: it looks at the heap.
func TestKeysThatAreGoneTakeNoMemory(t *testing.T) {
	rdb := start(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const rounds, keys = 100, 1000
	before := heap()
	for round := range rounds {
		p := rdb.Pipeline()
		for i := range keys {
			key := fmt.Sprintf("cozeq:result:{run-%d-%d}", round, i)
			p.HSet(t.Context(), key, "status", "queued")
			p.Del(t.Context(), key)
		}
		if _, err := p.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const most = 3 << 20 // each key kept by its name alone would be 10 MB
	for deadline := time.Now().Add(20 * time.Second); heap() > before+most; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys that are gone take %d KiB", rounds*keys, (heap()-before)>>10)
		}
	}
}
