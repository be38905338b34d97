package record_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

func TestMain(m *testing.M) { redistest.Main(m) }

type (
	reader = results.Store
	writer = record.Store
)

// store is both ends of the records in one Redis.
type store struct {
	*reader
	*writer
}

func openStore(rdb redis.UniversalClient) store {
	s := results.NewStore(rdb)
	return store{s, record.New(s)}
}

func newStore(t testing.TB, rdb redis.UniversalClient) store {
	t.Helper()
	s := openStore(rdb)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// channel hears what is published when a task ends.
type channel struct {
	t   testing.TB
	rdb redis.UniversalClient
	id  string
	sub *redis.PubSub
}

func hear(t testing.TB, rdb redis.UniversalClient, id string) *channel {
	t.Helper()
	c := &channel{t, rdb, id, rdb.Subscribe(t.Context(), results.Channel(id))}
	t.Cleanup(func() { c.sub.Close() })
	if _, err := c.sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.messages() // in a cluster one of before may come now, from another node
	return c
}

// messages returns all that was published since the last call: messages of one
// channel keep their order, in a cluster if they come from one node, so what comes
// before a mark of our own is all of it.
func (c *channel) messages() []string {
	c.t.Helper()
	const mark = "so far"
	err := c.rdb.Eval(c.t.Context(), "return redis.call('PUBLISH', ARGV[1], ARGV[2])",
		[]string{results.Key(c.id)}, results.Channel(c.id), mark).Err()
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for {
		m, err := c.sub.ReceiveMessage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		if m.Payload == mark {
			return got
		}
		got = append(got, m.Payload)
	}
}
