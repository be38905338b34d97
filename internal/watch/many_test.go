package watch_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

func pieces(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i, " ")
	}
	return all
}

// complete checks that a watcher was told an answer of n pieces.
func complete(t *testing.T, name string, said <-chan string, n int) {
	t.Helper()
	next := 0
	for s := range said {
		switch {
		case s == fmt.Sprintf("'%d '", next):
			next++
		case s == "running", s == "queued", next == n && s == "end: all":
		default:
			t.Errorf("%s: %q, want piece %d of %d", name, s, next, n)
			return
		}
	}
	if next != n {
		t.Errorf("%s: %d pieces of %d", name, next, n)
	}
}

// A watcher whose reader is slow holds nobody up, and gets all of it in the end.
func TestSlowWatcher(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 500 // more than a buffer has, and more than one read
		h := newHouse(t, rdb)
		h.create("t1")
		a := h.begin("t1")
		h.write(a, pieces(n)[0])
		slow, first, on := make(chan string, n+10), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(slow)
			for e, err := range h.hub.Watch(t.Context(), "t1", "") {
				if err != nil {
					t.Error(err)
				}
				slow <- say(e)
				if e.Text == pieces(1)[0] {
					close(first)
					<-on
				}
			}
		}()
		<-first
		fast := h.follow("t1", "")
		h.write(a, pieces(n)[1:]...)
		h.finish(a, "all", true)
		complete(t, "fast", fast, n)
		close(on)
		complete(t, "slow", slow, n)
	})
}

// 2,000 watchers of 200 tasks, half of which are asked: all are complete, over a handful of connections.
func TestManyWatchers(t *testing.T) {
	server := redistest.Start(t)
	const tasks, each, n = 200, 10, 20
	h := newHouse(t, server.Client())
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { rdb.Close() })
	watcher := newHouse(t, rdb)
	var ids []string
	for i := range tasks {
		ids = append(ids, "t"+strconv.Itoa(i))
	}
	h.create(ids...)
	said := make(map[string][]<-chan string)
	for range each {
		for _, id := range ids {
			said[id] = append(said[id], watcher.follow(id, ""))
		}
	}
	for _, id := range ids {
		for _, s := range said[id] {
			expect(t, s, "queued")
		}
	}
	list, err := server.Client().ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(list, "\n"); got > 15 {
		t.Errorf("%d connections", got)
	}
	var writers sync.WaitGroup
	for _, id := range ids[:tasks/2] {
		writers.Go(func() {
			a, err := h.records.Begin(t.Context(), resultOf(id), false)
			for _, piece := range pieces(n) {
				if err == nil {
					err = a.Delta(t.Context(), textOf(piece))
				}
			}
			if err == nil {
				a.Result.Status, a.Result.Answer = "completed", "all"
				err = a.Finish(t.Context(), true)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	for _, id := range ids[:tasks/2] {
		for _, s := range said[id] {
			complete(t, id, s, n)
		}
	}
	for _, id := range ids[tasks/2:] {
		if _, err := h.records.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for _, s := range said[id] {
			expect(t, s, "end: ")
		}
	}
}

// Redis dies and comes back, twice, while it is watched and while it is written to.
func TestRestart(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	h := newHouse(t, server.Client())
	h.create("t1", "t2")
	said, waiting := h.follow("t1", ""), h.follow("t2", "")
	expect(t, said, "queued")
	expect(t, waiting, "queued")
	a := h.begin("t1")
	all := pieces(30)
	for i := range 3 {
		h.write(a, all[10*i:10*i+5]...)
		if i < 2 {
			server.Kill()
			server.Restart()
		}
		h.write(a, all[10*i+5:10*i+10]...)
	}
	h.finish(a, "all", true)
	complete(t, "t1", said, len(all))
	if _, err := h.records.Cancel(t.Context(), "t2"); err != nil {
		t.Fatal(err)
	}
	expect(t, waiting, "end: ")
}

// The watcher's connections break while pieces are written: what was published meanwhile is read.
func TestBrokenConnection(t *testing.T) {
	server := redistest.Start(t)
	h := newHouse(t, server.Client())
	h.create("t1")
	a := h.begin("t1")
	proxy := server.Delay(0)
	rdb := redis.NewClient(&redis.Options{Addr: proxy.Addr(), DialerRetryTimeout: 1})
	t.Cleanup(func() { rdb.Close() })
	said := newHouse(t, rdb).follow("t1", "")
	expect(t, said, "running")
	all := pieces(100)
	for i, piece := range all {
		h.write(a, piece)
		if i%10 == 5 {
			proxy.Break()
		}
	}
	h.finish(a, "all", true)
	complete(t, "t1", said, len(all))
}

// In a cluster a message comes from another node than the one that the subscription is at.
func TestCluster(t *testing.T) {
	h := newHouse(t, redistest.StartCluster(t).Client())
	ids := []string{"t1", "t2", "t3", "t4", "t5"} // on different nodes
	h.create(ids...)
	said := make(map[string]<-chan string)
	for _, id := range ids {
		said[id] = h.follow(id, "")
		expect(t, said[id], "queued")
	}
	for _, id := range ids {
		a := h.begin(id)
		expect(t, said[id], "running")
		h.write(a, pieces(20)...)
		h.finish(a, "all", true)
	}
	for _, id := range ids {
		complete(t, id, said[id], 20)
		if got := h.watch(t.Context(), id, ""); got.err != nil || !slices.Contains(got.said, "end: all") {
			t.Errorf("%s, late: %q, %v", id, got.said, got.err)
		}
	}
}
