package redistest_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
)

func TestDelay(t *testing.T) {
	const rtt = 20 * time.Millisecond
	s := redistest.Start(t)
	p := s.Delay(rtt)
	ctx := t.Context()
	if err := p.Client().Ping(ctx).Err(); err != nil { // connect
		t.Fatal(err)
	}

	start := time.Now()
	if err := p.Client().Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < rtt {
		t.Errorf("a round trip took %v, less than the delay of %v", took, rtt)
	}

	// Large answers come through whole.
	want := bytes.Repeat([]byte("x"), 1<<20)
	if err := p.Client().Set(ctx, "big", want, 0).Err(); err != nil {
		t.Fatal(err)
	}
	got, err := p.Client().Get(ctx, "big").Bytes()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("GET: %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestBreakAndRestartThroughProxy(t *testing.T) {
	s := redistest.Start(t)
	p := s.Delay(0)
	ctx := t.Context()

	sub := p.Client().Subscribe(ctx, "news")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	messages := sub.Channel()

	p.Break()
	waitForSubscriber(t, s.Client(), "news")
	if err := s.Client().Publish(ctx, "news", "after the break").Err(); err != nil {
		t.Fatal(err)
	}
	if m := <-messages; m.Payload != "after the break" {
		t.Fatalf("got %q", m.Payload)
	}

	s.Restart()
	waitForSubscriber(t, s.Client(), "news")
	if err := p.Client().Publish(ctx, "news", "after the restart").Err(); err != nil {
		t.Fatal(err)
	}
	if m := <-messages; m.Payload != "after the restart" {
		t.Fatalf("got %q", m.Payload)
	}
}

// waitForSubscriber waits until the server knows exactly one subscriber: after a break the old one may still be known.
func waitForSubscriber(t *testing.T, rdb redis.UniversalClient, channel string) {
	t.Helper()
	awaittest.Until(t, "there is one subscriber", func() bool {
		n, err := rdb.PubSubNumSub(t.Context(), channel).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n[channel] == 1
	})
}
