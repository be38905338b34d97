package results_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

var moment = time.Date(2026, 2, 3, 4, 5, 6, 789_999_999, time.FixedZone("", 8*60*60))

// goldens are a result with all there is to say and one with nothing.
var goldens = map[string]results.Result{
	"full": {
		ID: "0197-full", CustomID: "row 7", BatchID: "b1", Tenant: "shop", Status: results.Failed,
		Answer: "a < b && \"c\"\n你好", Reasoning: "first, …", FollowUps: []string{"Why <?", "And \"now\"?"},
		Usage: &results.Usage{TokenCount: 12, OutputCount: 5, InputCount: 7},
		Error: &results.Failure{Code: 4013, Class: "rate", Message: "too fast", LogID: "2026log", Hint: "wait"},
		BotID: "bot", UserID: "user", ConversationID: "7461", ConversationKey: "talk", ChatID: "7462",
		Attempts: 2, PossibleDuplicate: true, Warnings: []string{"the conversation was created again"},
		CreatedAt: results.At(moment), StartedAt: results.At(moment.Add(time.Second)), CompletedAt: results.At(moment.Add(time.Minute)),
		Queue: "low", Lane: "key:bot:talk",
	},
	"empty": {ID: "0197-empty", Status: results.Queued},
}

func TestGoldenJSON(t *testing.T) {
	for name, r := range goldens {
		line, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		tasktest.Golden(t, name+".json", string(line)+"\n")
	}
}

func TestGoldenHash(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		for name, r := range goldens {
			r.CreatedAt = results.At(moment)
			if _, err := record.New(s).Create(t.Context(), record.Entry{Result: r}); err != nil {
				t.Fatal(err)
			}
			h := tasktest.Hash(t, rdb, r.ID)
			var lines strings.Builder
			for _, field := range slices.Sorted(maps.Keys(h)) {
				fmt.Fprintf(&lines, "%s=%q\n", field, h[field])
			}
			tasktest.Golden(t, name+".hash", lines.String())
		}
	})
}

func TestTime(t *testing.T) {
	tests := []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), "2026-02-03T04:05:06.000Z"},
		{time.Date(2026, 2, 3, 4, 5, 6, 100_000_000, time.UTC), "2026-02-03T04:05:06.100Z"},
		{moment, "2026-02-02T20:05:06.789Z"},
		{time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "2026-12-31T23:59:59.999Z"},
	}
	for _, tt := range tests {
		at := results.At(tt.at)
		if at.String() != tt.want {
			t.Errorf("At(%v) = %s, want %s", tt.at, at, tt.want)
		}
		b, err := json.Marshal(at)
		if err != nil || string(b) != `"`+tt.want+`"` {
			t.Errorf("JSON of %v: %s, %v", tt.at, b, err)
		}
		var back results.Time
		if err := json.Unmarshal(b, &back); err != nil || back != at {
			t.Errorf("%s came back as %v, %v", b, back, err)
		}
	}
}

func TestTerminal(t *testing.T) {
	for status, want := range map[results.Status]bool{
		"": false, results.Queued: false, results.Running: false, results.Waiting: false, "done": false,
		results.Completed: true, results.Failed: true, results.Canceled: true, results.Expired: true,
	} {
		if status.Terminal() != want {
			t.Errorf("%q.Terminal() = %v", status, !want)
		}
	}
}

// anyResult draws results as a worker may write them.
func anyResult() *rapid.Generator[results.Result] {
	text := rapid.String()
	moments := rapid.Custom(func(t *rapid.T) results.Time {
		if rapid.Bool().Draw(t, "none") {
			return results.Time{}
		}
		return results.At(time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, "ms")))
	})
	list := rapid.Custom(func(t *rapid.T) []string {
		if l := rapid.SliceOfN(text, 0, 3).Draw(t, "list"); len(l) > 0 {
			return l
		}
		return nil
	})
	parts := rapid.Custom(func(t *rapid.T) []results.Part {
		var all []results.Part
		for _, content := range list.Draw(t, "contents") {
			all = append(all, results.Part{ContentType: "card", Content: content})
		}
		return all
	})
	return rapid.Custom(func(t *rapid.T) results.Result {
		r := results.Result{
			ID:              rapid.StringMatching(`[A-Za-z0-9._:-]{1,40}`).Draw(t, "id"),
			CustomID:        text.Draw(t, "custom id"),
			BatchID:         text.Draw(t, "batch"),
			Tenant:          text.Draw(t, "tenant"),
			Status:          rapid.SampledFrom([]results.Status{results.Queued, results.Running, results.Waiting, results.Completed, results.Failed}).Draw(t, "status"),
			Answer:          text.Draw(t, "answer"),
			ContentType:     text.Draw(t, "content type"),
			Parts:           parts.Draw(t, "parts"),
			Reasoning:       text.Draw(t, "reasoning"),
			FollowUps:       list.Draw(t, "follow-ups"),
			BotID:           text.Draw(t, "bot"),
			UserID:          text.Draw(t, "user"),
			ConversationID:  text.Draw(t, "conversation"),
			ConversationKey: text.Draw(t, "key"),
			ChatID:          text.Draw(t, "chat"),
			Attempts:        rapid.IntRange(0, 1e6).Draw(t, "attempts"),
			Warnings:        list.Draw(t, "warnings"),
			CreatedAt:       results.At(time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, "created"))),
			StartedAt:       moments.Draw(t, "started"),
			CompletedAt:     moments.Draw(t, "completed"),
		}
		r.PossibleDuplicate = rapid.Bool().Draw(t, "duplicate")
		if rapid.Bool().Draw(t, "usage") {
			n := rapid.Int64Min(0)
			r.Usage = &results.Usage{TokenCount: n.Draw(t, "tokens"), OutputCount: n.Draw(t, "output"), InputCount: n.Draw(t, "input")}
		}
		if rapid.Bool().Draw(t, "failed") {
			r.Error = &results.Failure{
				Code:    rapid.IntRange(0, 1e10).Draw(t, "code"),
				Class:   rapid.StringMatching(`[a-z]+`).Draw(t, "class"),
				Message: text.Draw(t, "message"), LogID: text.Draw(t, "log id"), Hint: text.Draw(t, "hint"),
			}
		}
		return r
	})
}

// What is written is what is read, as JSON and as a hash.
func TestRoundTrip(t *testing.T) {
	s := tasktest.NewStore(t, redistest.Embedded(t))
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		want := anyResult().Draw(t, "result")
		line, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(line), "\n") {
			t.Fatalf("more than one line: %s", line)
		}
		var got results.Result
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("JSON:\ngot  %+v\nwant %+v", got, want)
		}

		want.Queue, want.Lane = rapid.String().Draw(t, "queue"), rapid.String().Draw(t, "lane")
		if err := s.Delete(ctx, want.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := record.New(s).Create(ctx, record.Entry{Result: want}); err != nil {
			t.Fatal(err)
		}
		kept, err := s.Get(ctx, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*kept, want) {
			t.Fatalf("hash:\ngot  %+v\nwant %+v", *kept, want)
		}
	})
}

// A slip of a foreign writer does not make a record unreadable.
func TestSlips(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		err := rdb.HSet(t.Context(), results.Key("t1"), "id", "t1", "status", "running", "follow_ups", "none",
			"attempts", "few", "created_at", "yesterday", "of_its_own", "1", "answer", "still here").Err()
		if err != nil {
			t.Fatal(err)
		}
		want := results.Result{ID: "t1", Status: results.Running, Answer: "still here"}
		if got := tasktest.Get(t, s, "t1"); !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, want %+v", *got, want)
		}
	})
}
