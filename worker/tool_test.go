package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// testTools are some tools, and how often they ran.
func testTools(ran *atomic.Int32) map[string]worker.Tool {
	tool := func(f func(context.Context, json.RawMessage) (string, error)) worker.Tool {
		return func(ctx context.Context, arguments json.RawMessage) (string, error) {
			ran.Add(1)
			return f(ctx, arguments)
		}
	}
	return map[string]worker.Tool{
		"echo": tool(func(_ context.Context, arguments json.RawMessage) (string, error) { return string(arguments), nil }),
		"text": tool(func(context.Context, json.RawMessage) (string, error) { return "21 <degrees>\n", nil }),
		"list": tool(func(context.Context, json.RawMessage) (string, error) { return "[1]", nil }),
		"fail": tool(func(context.Context, json.RawMessage) (string, error) { return "", errors.New("no such city") }),
		"huge": tool(func(context.Context, json.RawMessage) (string, error) {
			return strings.Repeat("x", worker.MaxToolOutput), nil
		}),
		"panic": tool(func(context.Context, json.RawMessage) (string, error) { panic("oh no") }),
		"slow":  tool(func(ctx context.Context, _ json.RawMessage) (string, error) { <-ctx.Done(); return "", ctx.Err() }),
	}
}

// TestTools has bots call tools, and breaks the way of their outputs. Each question makes one chat.
func TestTools(t *testing.T) {
	t.Parallel()
	cases := []struct {
		question string
		runs     int    // of tools
		answer   string // a part of it; of the error's message if the task failed with this
		class    string
	}{
		{"one [[mock:action=echo]]", 1, `echo gave {"location":"here"}.`, ""},
		{"text [[mock:action=text]]", 1, `text gave {"output":"21 <degrees>"}.`, ""},
		{"list [[mock:action=list]]", 1, `list gave {"output":[1]}.`, ""},
		{"two of a name [[mock:action=echo,echo,text]]", 3, `echo gave {"location":"here"}. echo gave {"location":"here"}. text`, ""},
		{"rounds [[mock:action=echo rounds=3]]", 3, `echo gave {"location":"here"}. echo gave`, ""},
		{"says [[mock:action=echo says=Wait.]]", 1, "Wait.\nMock answer", ""},

		// A tool's failure is the bot's to deal with.
		{"fail [[mock:action=fail]]", 1, `fail gave {"error":"no such city"}.`, ""},
		{"panic [[mock:action=panic]]", 1, `panic gave {"error":"the tool panicked: oh no"}.`, ""},
		{"slow [[mock:action=slow]]", 1, `slow gave {"error":"the tool took too long: more than 500ms"}.`, ""},
		{"huge [[mock:action=huge]]", 1, `huge gave {"error":"the output has 262157 bytes, more than 262144"}.`, ""},
		{"no JSON [[mock:action=echo arguments={x]]", 0, `echo gave {"error":"the arguments are no JSON"}.`, ""},

		// Nobody can go on.
		{"no tool [[mock:action=echo,other]]", 0, "nobody runs here: echo, other", "action"},
		{"too many rounds [[mock:action=echo rounds=9]]", 4, "in more than 4 rounds", "action"},

		// The way of the outputs breaks. No tool runs again.
		{"cut before the call [[mock:cut=1 tool=echo]]", 1, "echo gave", ""},
		{"submit: cut [[mock:action=echo]][[mock:on=submit cut=2 times=1]]", 1, "echo gave", ""},
		{"submit: cut between rounds [[mock:action=echo rounds=2]][[mock:on=submit cut=1 times=1]]", 2, "echo gave", ""},
		{"submit: no reply, taken [[mock:action=echo]][[mock:on=submit hangup created times=1]]", 1, "echo gave", ""},
		{"submit: no reply, not taken [[mock:action=echo]][[mock:on=submit hangup times=1]]", 1, "echo gave", ""},
		{"submit: gateway [[mock:action=echo]][[mock:on=submit gateway=502 times=1]]", 1, "echo gave", ""},
		{"submit: rate [[mock:action=echo]][[mock:on=submit code=4013 times=1]]", 1, "echo gave", ""},
		{"submit: error [[mock:action=echo]][[mock:on=submit error=5000 times=1]]", 1, "echo gave", ""},
		{"submit: envelope [[mock:action=echo]][[mock:on=submit envelope]]", 1, "echo gave", ""},
		{"submit: refused [[mock:action=echo]][[mock:on=submit code=4000]]", 1, "Request parameter error", "permanent"},
		{"submit: failed [[mock:action=echo]][[mock:on=submit fail=702112107]]", 1, "mock error 702112107", "permanent"},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		var ran atomic.Int32
		l := newLine(t, rdb)
		l.work(func(c *worker.Config) {
			c.Tools, c.ToolTimeout, c.ToolRounds = testTools(&ran), 500*time.Millisecond, 4
		})
		want, ids := 0, make([]string, len(cases))
		for i, c := range cases {
			ids[i] = l.enqueue(tasks.Ask("bot", c.question), tasks.Options{})
			want += c.runs
		}
		for i, c := range cases {
			r := l.wait(ids[i])
			status, said, class := results.Completed, r.Answer, ""
			if c.class != "" {
				status = results.Failed
			}
			if r.Error != nil {
				said, class = r.Error.Message, r.Error.Class
			}
			if r.Status != status || class != c.class || !strings.Contains(said, c.answer) || r.Attempts != 1 || l.fake.ByQuestion(c.question) != 1 {
				t.Errorf("%s: %s %s %q after %d attempts and %d chats", c.question, r.Status, class, said, r.Attempts, l.fake.ByQuestion(c.question))
			}
		}
		if n := int(ran.Load()); n != want {
			t.Errorf("tools ran %d times, want %d", n, want)
		}
	})
}

// TestToolDeltas follows a streamed answer over rounds of tools, whose streams break or not, and adds up what it cost.
func TestToolDeltas(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	l := newLine(t, rdb)
	reg, metrics := collectors(rdb)
	var ran atomic.Int32
	l.work(func(c *worker.Config) { c.Tools, c.Metrics = testTools(&ran), metrics })
	once := l.ask("plain").Usage.TokenCount
	for _, question := range []string{
		"plain [[mock:action=echo,fail rounds=2 says=Wait.]]",
		"plain [[mock:action=echo,fail rounds=2 says=Wait.]][[mock:on=submit cut=4 times=1]]",
		"plain [[mock:action=echo,fail rounds=2 says=Wait.]][[mock:on=submit gateway=502 times=1]]",
	} {
		chat := tasks.Ask("bot", question)
		chat.Stream = true
		id := l.enqueue(chat, tasks.Options{})
		text := ""
		for piece, err := range l.tasks.Stream(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			if piece.Restart {
				text = ""
			}
			text += piece.Text
		}
		r := l.wait(id)
		if !strings.HasPrefix(r.Answer, "Wait.\nWait.\nMock answer") || text != r.Answer {
			t.Errorf("%s: streamed %q, answered %q", question, text, r.Answer)
		}
		if r.Usage == nil || r.Usage.TokenCount <= once || r.Usage.TokenCount != r.Usage.InputCount+r.Usage.OutputCount {
			t.Errorf("%s: %+v, a question without tools takes %d", question, r.Usage, once)
		}
	}
	want := map[string]float64{"outcome=ok,tool=echo": 6, "outcome=error,tool=fail": 6}
	if got := gathered(t, reg, "cozeq_tool_calls_total"); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
