package results_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/results"
)

// TestInterleaved lets workers that take the same task up, producers that create
// and somebody who cancels it meet at every call to Redis, with replies that are
// lost and processes that die. However they meet, the task ends once, with one
// message, by the word of the newest owner or of who canceled it in time.
func TestInterleaved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		redis, err := localredis.Start()
		if err != nil {
			rt.Fatal(err)
		}
		defer redis.Close()
		rdb := redis.Client()
		ctx := context.Background()
		s := &stage{rdb: rdb}
		defer s.clear()
		c := hear(t, rdb, "t1")

		// Touched by one process at a time: see stage.
		newest, fresh, ended := "", 0, ""
		unknown := false // a process died: whether its Begin or Cancel was done nobody knows
		var faults []string
		faulty := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
		worker := func(a *actor, puttingAside bool) {
			store := results.NewStore(a.rdb)
			at, err := store.Begin(ctx, results.Result{ID: "t1"}, true)
			if err != nil {
				unknown = true
				return
			}
			if at.Ended {
				if ended == "" {
					ended = string(at.Result.Status)
				}
				return
			}
			if ended != "" {
				faulty("%s began after the end by %s", a.name, ended)
			}
			newest, fresh = a.name, fresh+1
			mine := fresh
			check := func(what string, err error) bool {
				switch {
				case err == nil && newest != a.name:
					faulty("%s: %s was not fenced from %s", a.name, what, newest)
				case errors.Is(err, results.ErrFenced) && mine == fresh && ended == "" && !unknown:
					faulty("%s: %s was fenced, but it is the newest", a.name, what)
				}
				return err == nil
			}
			if !check("Asking", at.Asking(ctx, "c1")) || !check("Created", at.Created(ctx, "c1", "chat of "+a.name)) ||
				!check("Delta", at.Delta(ctx, results.Delta{Type: results.DeltaText, Text: a.name})) {
				return
			}
			if puttingAside {
				check("Wait", at.Wait(ctx, &results.Failure{Class: "busy"}))
				return
			}
			at.Result.Status, at.Result.Answer = results.Completed, a.name
			if check("Finish", at.Finish(ctx, true)) {
				if ended != "" {
					faulty("%s ended it after %s", a.name, ended)
				}
				ended = a.name
			}
		}
		producer := func(a *actor) {
			_, _ = results.NewStore(a.rdb).Create(ctx, results.Entry{Result: results.Result{ID: "t1"}})
		}
		canceler := func(a *actor) {
			r, err := results.NewStore(a.rdb).Cancel(ctx, "t1")
			switch {
			case err != nil:
				unknown = true
			case r.Status == results.Canceled && ended == "":
				ended = "cancel"
			}
		}
		s.enter(t, "producer", producer)
		s.step(s.actors[0], answered) // NOSCRIPT
		s.step(s.actors[0], answered)
		for i := range rapid.IntRange(1, 3).Draw(rt, "workers") {
			aside := rapid.Bool().Draw(rt, "puts it aside")
			s.enter(t, fmt.Sprint("worker ", i), func(a *actor) { worker(a, aside) })
		}
		if rapid.Bool().Draw(rt, "cancel") {
			s.enter(t, "canceler", canceler)
		}
		if rapid.Bool().Draw(rt, "produce again") {
			s.enter(t, "second producer", producer)
		}
		s.play(rt, twice, unheard, unsent)
		// Somebody always comes back to a task that has not ended.
		s.enter(t, "last worker", func(a *actor) { worker(a, false) })
		s.play(rt)

		for _, f := range faults {
			rt.Error(f)
		}
		told := c.messages()
		if len(told) != 1 {
			rt.Fatalf("published %d times: %q", len(told), told)
		}
		var message results.Result
		if err := json.Unmarshal([]byte(told[0]), &message); err != nil {
			rt.Fatal(err)
		}
		kept, err := results.NewStore(rdb).Get(ctx, "t1")
		if err != nil {
			rt.Fatal(err)
		}
		if kept.Status != message.Status || kept.Answer != message.Answer || kept.ChatID != message.ChatID {
			rt.Errorf("published %+v, kept %+v", message, kept)
		}
		switch kept.Status {
		case results.Completed:
			// A worker that died before the reply has ended it all the same.
			if kept.Answer != newest {
				rt.Errorf("the answer is that of %s, the newest owner is %s", kept.Answer, newest)
			}
			if kept.ChatID != "chat of "+newest {
				rt.Errorf("chat %q", kept.ChatID)
			}
		case results.Canceled:
			if newest != "" && kept.ChatID != "" {
				rt.Errorf("canceled with chat %q", kept.ChatID)
			}
		default:
			rt.Errorf("it ended as %q", kept.Status)
		}
	})
}
