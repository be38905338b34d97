package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestInterleaved lets workers that take the same task up, producers that create
// and somebody who cancels it meet at every call to Redis, with replies that are
// lost and processes that die. However they meet, the task ends once, with one
// message, by the word of the newest owner or of who canceled it in time.
func TestInterleaved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		redis, err := embeddedredis.Start()
		if err != nil {
			rt.Fatal(err)
		}
		defer redis.Close()
		rdb := redis.Client()
		ctx := context.Background()
		s := redistest.NewStage(rdb)
		defer s.Clear()
		c := hear(t, rdb, "t1")

		// Touched by one process at a time: see redistest.Stage.
		newest, fresh, ended := "", 0, ""
		unknown := false // a process died: whether its Begin or Cancel was done nobody knows
		var faults []string
		faulty := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
		worker := func(a *redistest.Actor, puttingAside bool) {
			store := openStore(a.Redis)
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
				faulty("%s began after the end by %s", a.Name, ended)
			}
			newest, fresh = a.Name, fresh+1
			mine := fresh
			check := func(what string, err error) bool {
				switch {
				case err == nil && newest != a.Name:
					faulty("%s: %s was not fenced from %s", a.Name, what, newest)
				case errors.Is(err, record.ErrFenced) && mine == fresh && ended == "" && !unknown:
					faulty("%s: %s was fenced, but it is the newest", a.Name, what)
				}
				return err == nil
			}
			if !check("Asking", at.Asking(ctx, "c1")) || !check("Created", at.Created(ctx, "c1", "chat of "+a.Name)) ||
				!check("Delta", at.Delta(ctx, record.Delta{Type: record.DeltaText, Text: a.Name})) {
				return
			}
			if puttingAside {
				check("Wait", at.Wait(ctx, &results.Failure{Class: "busy"}))
				return
			}
			at.Result.Status, at.Result.Answer = results.Completed, a.Name
			if check("Finish", at.Finish(ctx, true)) {
				if ended != "" {
					faulty("%s ended it after %s", a.Name, ended)
				}
				ended = a.Name
			}
		}
		producer := func(a *redistest.Actor) {
			_, _ = openStore(a.Redis).Create(ctx, record.Entry{Result: results.Result{ID: "t1"}})
		}
		canceler := func(a *redistest.Actor) {
			r, err := openStore(a.Redis).Cancel(ctx, "t1")
			switch {
			case err != nil:
				unknown = true
			case r.Status == results.Canceled && ended == "":
				ended = "cancel"
			}
		}
		s.Enter("producer", producer)
		s.Step(s.Actors[0], redistest.Answered) // NOSCRIPT
		s.Step(s.Actors[0], redistest.Answered)
		for i := range rapid.IntRange(1, 3).Draw(rt, "workers") {
			aside := rapid.Bool().Draw(rt, "puts it aside")
			s.Enter(fmt.Sprint("worker ", i), func(a *redistest.Actor) { worker(a, aside) })
		}
		if rapid.Bool().Draw(rt, "cancel") {
			s.Enter("canceler", canceler)
		}
		if rapid.Bool().Draw(rt, "produce again") {
			s.Enter("second producer", producer)
		}
		play(rt, s, redistest.Twice, redistest.Unheard, redistest.Unsent)
		// Somebody always comes back to a task that has not ended.
		s.Enter("last worker", func(a *redistest.Actor) { worker(a, false) })
		play(rt, s)

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
		kept, err := openStore(rdb).Get(ctx, "t1")
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

// play lets the processes go on until all have ended.
func play(t *rapid.T, s *redistest.Stage, fates ...redistest.Fate) {
	for len(s.Actors) > 0 {
		a := s.Actors[rapid.IntRange(0, len(s.Actors)-1).Draw(t, "next")]
		f := redistest.Answered
		if len(fates) > 0 && rapid.IntRange(0, 9).Draw(t, "luck") == 0 {
			f = rapid.SampledFrom(fates).Draw(t, a.Name)
		}
		s.Step(a, f)
	}
}
