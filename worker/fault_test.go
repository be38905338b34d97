package worker_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestFaults sends one question for each thing that can go wrong and checks how it
// ends, what it cost in attempts, and how many chats Coze accepted for it.
func TestFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		question string
		status   results.Status
		class    string
		attempts int
		chats    int
	}{
		{"plain", results.Completed, "", 1, 1},

		// Refused before there was a chat: asked again, by class.
		{"rate [[mock:code=4013 times=2]]", results.Completed, "", 1, 1},
		{"rate 4009 [[mock:code=4009 times=1]]", results.Completed, "", 1, 1},
		{"429 [[mock:limit=1s times=1]]", results.Completed, "", 1, 1},
		{"busy [[mock:error=4016 times=1]]", results.Completed, "", 1, 1},
		{"internal [[mock:code=5000 times=1]]", results.Completed, "", 2, 1},
		{"internal, three times [[mock:code=5000]]", results.Failed, "transient", 3, 0},
		{"unknown [[mock:code=799999999]]", results.Failed, "transient", 2, 0},
		{"bad parameter [[mock:code=4000]]", results.Failed, "permanent", 1, 0},
		{"moderated [[mock:code=4014]]", results.Failed, "permanent", 1, 0},
		{"expired [[mock:expired times=1]]", results.Completed, "", 1, 1},
		{"error event [[mock:error=5000 times=1]]", results.Completed, "", 2, 1},

		// Sent, and no word of a chat: found out.
		{"hangup, taken [[mock:hangup created times=1]]", results.Completed, "", 1, 1},
		{"hangup, not taken [[mock:hangup times=1]]", results.Completed, "", 2, 1},
		{"gateway, taken [[mock:gateway=504 created times=1]]", results.Completed, "", 1, 1},
		{"gateway, not taken [[mock:gateway=502 times=1]]", results.Completed, "", 2, 1},
		{"cut at once [[mock:cut=0 times=1]]", results.Completed, "", 1, 1},
		{"error without a code [[mock:error=0 times=1]]", results.Completed, "", 2, 1},

		// A chat was made: looked up.
		{"cut after created [[mock:cut=1]]", results.Completed, "", 1, 1},
		{"cut in the answer [[mock:cut=5]]", results.Completed, "", 1, 1},
		{"cut in JSON [[mock:cut=4 mid_json]]", results.Completed, "", 1, 1},
		{"reset [[mock:cut=5 reset]]", results.Completed, "", 1, 1},
		{"cut, then slow [[mock:cut=4 behind=1500ms]]", results.Completed, "", 1, 1},
		{"cut, then failed [[mock:cut=4 then=failed times=1]]", results.Completed, "", 2, 2},
		{"cut, then canceled [[mock:cut=4 then=canceled times=1]]", results.Completed, "", 2, 2},
		{"stall [[mock:stall after=4]]", results.Completed, "", 1, 1},
		{"bare error inside [[mock:bare=5000 after=3 then=completed]]", results.Completed, "", 1, 1},
		{"moved [[mock:move]]", results.Completed, "", 1, 1},

		// The chat itself ended otherwise.
		{"failed [[mock:fail=5000 times=1]]", results.Completed, "", 2, 2},
		{"failed for good [[mock:fail=702112107]]", results.Failed, "permanent", 1, 1},
		{"failed, rate [[mock:fail=702112103 times=1]]", results.Completed, "", 1, 2},
		{"failed flat [[mock:fail_flat=720702204]]", results.Failed, "permanent", 1, 1},
		{"tool [[mock:action]]", results.Failed, "action", 1, 1},
		{"nothing to say [[mock:empty]]", results.Failed, "transient", 2, 2},

		{"several answers [[mock:answers=3 reasoning]]", results.Completed, "", 1, 1},
		{"odd lines [[mock:lines=crlf,comments,bom]]", results.Completed, "", 1, 1},
		{"huge [[mock:size=300000]]", results.Completed, "", 1, 1},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.work(func(c *worker.Config) { c.Coze.Idle = 3 * time.Second })
		ids := make([]string, len(cases))
		for i, c := range cases {
			ids[i] = l.enqueue(tasks.Ask("bot", c.question), tasks.Options{})
		}
		for i, c := range cases {
			r := l.wait(ids[i])
			class := ""
			if r.Error != nil {
				class = r.Error.Class
			}
			chats := l.fake.ByQuestion(c.question)
			if r.Status != c.status || class != c.class || r.Attempts != c.attempts || chats != c.chats {
				t.Errorf("%s: %s %s after %d attempts and %d chats, want %s %s after %d and %d\nerror: %+v",
					c.question, r.Status, class, r.Attempts, chats, c.status, c.class, c.attempts, c.chats, r.Error)
			}
			if r.Status == results.Completed && (r.Answer == "" || r.Usage == nil || r.ChatID == "") {
				t.Errorf("%s: completed without answer, usage or chat: %+v", c.question, r)
			}
			if r.PossibleDuplicate {
				t.Errorf("%s: said to be a possible duplicate", c.question)
			}
		}
	})
}
