package record_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

func TestMany(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		tasktest.Answer(t, s.reader, "t7", "yes")
		const n = 1203
		var entries []record.Entry
		var ids []string
		for i := range n {
			id := fmt.Sprint("t", i)
			ids = append(ids, id)
			entries = append(entries, record.Entry{Result: results.Result{ID: id, BotID: "bot"}, Body: []byte("[1]")})
		}
		redistest.ForgetScripts(t, rdb)
		statuses, errs := s.CreateMany(ctx, entries)
		for i := range n {
			want := results.Status("")
			if i == 7 {
				want = results.Completed
			}
			if statuses[i] != want || errs[i] != nil {
				t.Errorf("%s: %q, %v", ids[i], statuses[i], errs[i])
			}
		}
		if body := rdb.Get(ctx, results.BodyKey("t1202")).Val(); body != "[1]" {
			t.Errorf("body %q", body)
		}
		if err := s.Delete(ctx, "t3", "t1200"); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetMany(ctx, ids)
		if err != nil || len(got) != n {
			t.Fatalf("%d, %v", len(got), err)
		}
		for i, r := range got {
			switch {
			case i == 3 || i == 1200:
				if r != nil {
					t.Errorf("%s is still there", ids[i])
				}
			case r == nil || r.ID != ids[i] || r.Status != results.Queued != (i == 7):
				t.Errorf("%s: %+v", ids[i], r)
			}
		}
		if got, err := s.GetMany(ctx, nil); err != nil || len(got) != 0 {
			t.Errorf("of none: %v, %v", got, err)
		}
		if statuses, errs := s.CreateMany(ctx, nil); len(statuses)+len(errs) != 0 {
			t.Errorf("of none: %v, %v", statuses, errs)
		}
	})
}

// Of a task that is kept with others the record that has ended leaves out what these
// have in common, and the question stays. The message says all.
func TestKept(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		c := hear(t, rdb, "t1")
		entry := func(id, lane string) record.Entry {
			return record.Entry{Result: results.Result{ID: id, CustomID: "row 1", BatchID: "b", BotID: "bot", UserID: "user", Queue: "low", Lane: lane}, Body: []byte("[1]"), Kept: true}
		}
		for id, lane := range map[string]string{"t1": "", "t2": "id:1", "t3": ""} {
			if _, err := s.Create(ctx, entry(id, lane)); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"t1", "t2"} {
			a := tasktest.Begin(t, s.reader, id)
			a.Result.BotID, a.Result.UserID = "bot", "user"
			tasktest.Finish(t, a, "yes")
		}
		if _, err := s.Cancel(ctx, "t3"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"t1", "t2"} {
			h := tasktest.Hash(t, rdb, id)
			for _, name := range []string{"custom_id", "bot_id", "user_id", "kept"} {
				if h[name] != "" {
					t.Errorf("%s has %s %q", id, name, h[name])
				}
			}
			if h["batch_id"] != "b" || h["answer"] != "yes" || h["queue"] != map[string]string{"t2": "low"}[id] {
				t.Errorf("%s: %q", id, h)
			}
		}
		for _, id := range []string{"t1", "t2", "t3"} {
			if body := rdb.Get(ctx, results.BodyKey(id)).Val(); body != "[1]" {
				t.Errorf("body of %s: %q", id, body)
			}
			if body, record := rdb.TTL(ctx, results.BodyKey(id)).Val(), rdb.TTL(ctx, results.Key(id)).Val(); body <= 0 || body-record > 1e9 || record-body > 1e9 {
				t.Errorf("%s: the body is kept for %v, the record for %v", id, body, record)
			}
		}
		var message results.Result
		told := c.messages()
		if len(told) != 1 {
			t.Fatalf("told %q", told)
		}
		if err := json.Unmarshal([]byte(told[0]), &message); err != nil {
			t.Fatal(err)
		}
		if message.BotID != "bot" || message.UserID != "user" || message.CustomID != "row 1" {
			t.Errorf("told %+v", message)
		}
	})
}

// What Coze has counted for chats without an answer is not forgotten with them.
func TestSpent(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		for i := range 2 {
			a := tasktest.Begin(t, s.reader, "t1")
			if !a.Made {
				t.Errorf("attempt %d takes the record for its producer's", i)
			}
			a.Result.Usage = &results.Usage{TokenCount: 10, OutputCount: 7, InputCount: 3}
			a.Result.Spent, a.Result.Usage = a.Result.Billed(), nil
			if err := a.Wait(ctx, nil); err != nil {
				t.Fatal(err)
			}
		}
		a := tasktest.Begin(t, s.reader, "t1")
		a.Result.Usage = &results.Usage{TokenCount: 5, OutputCount: 4, InputCount: 1}
		a.Result.Status, a.Result.Error = results.Failed, &results.Failure{Class: "permanent"}
		if err := a.Finish(ctx, false); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(ctx, "t1")
		if err != nil || r.Billed() != (results.Usage{TokenCount: 25, OutputCount: 18, InputCount: 7}) || r.Usage.TokenCount != 5 {
			t.Errorf("%+v, %v", r, err)
		}
		// Asked again by hand it begins to count anew: that was told already.
		if err := s.Reopen(ctx, "t1"); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Get(ctx, "t1"); err != nil || r.Billed() != (results.Usage{}) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
