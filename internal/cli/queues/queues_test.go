package queues

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// A terminal that is too narrow for a row shows all of it nevertheless.
func TestQueuesOnNarrowTerminal(t *testing.T) {
	now := time.Now()
	paused := worker.Pause{
		Credential: "4f9032b3e48948c4", Code: 4028, Class: "quota", Since: now, NextProbe: now,
		Message: "套餐额度已用完，请升级", Hint: "Buy a plan or credits at Coze, then go on: the free quota does not come back.",
	}
	ofBot := paused
	ofBot.BotID = "客服机器人9"
	for _, test := range []struct {
		pauses []worker.Pause
		want   string
	}{
		{nil, `(?m)  0s      by an operator\n {63}since \d\d:\d\d:\d\d$`},
		{[]worker.Pause{paused}, `(?m)^credential 4f9032b3e48948c4 .*  0 *\n    套餐额度已用完，请升级 - Buy a plan .*\n    `},
		{[]worker.Pause{paused, ofBot}, `(?m)^PAUSED            bot 客服机器人9 with 4f9032b3e48948c4\nsince             [^ ]+\nwhy               4028 \(quota\)\n`},
	} {
		var out bytes.Buffer
		c := &options{streams: &terminal.Streams{Out: &out, OutTTY: true, Width: 80}}
		state := queuestate.All{Queues: []queuestate.Queue{{Queue: "critical", Paused: &queuestate.QueuePause{By: queuestate.ByOperator, Since: now}}}, Pauses: test.pauses}
		if err := c.print(state); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(test.want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", test.want, out.String())
		}
		for line := range strings.SplitSeq(out.String(), "\n") {
			if terminal.Columns(line) > 80 {
				t.Errorf("%d columns: %q", terminal.Columns(line), line)
			}
		}
	}
}

// On a terminal each kind has a table of its own; in a pipe, its name in each line.
func TestQueuesPrint(t *testing.T) {
	now := time.Now()
	state := queuestate.All{
		Queues: []queuestate.Queue{
			{Queue: "default", Pending: 100_000, Active: 3, OldestPending: 3725, Paused: &queuestate.QueuePause{By: queuestate.ByCozeq, Since: now, Credentials: []string{"c1"}}},
			{Queue: "low", Paused: &queuestate.QueuePause{By: queuestate.ByOperator, Since: now.AddDate(0, 0, -3)}},
		},
		Pauses: []worker.Pause{
			{Credential: "c1", Code: 4028, Class: "quota", Since: now, NextProbe: now, Message: "used up", Hint: "Buy more."},
			{Credential: "c1", BotID: "b\x1b[2J", Code: 4015, Class: "permanent", Since: now, NextProbe: now, Aside: 12, Message: "not\tpublished"},
		},
		Limits: []worker.Limit{{Credential: "c1", Rate: 19.8765, Served: true}, {Credential: "c2"}},
	}
	show := func(tty bool) string {
		var out bytes.Buffer
		c := &options{streams: &terminal.Streams{Out: &out, OutTTY: tty, Width: 120}}
		if err := c.print(state); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	terminal := show(true)
	for _, want := range []string{
		`(?m)^QUEUE    PENDING  ACTIVE  SCHEDULED  RETRY  ARCHIVED  OLDEST  PAUSED$`,
		`(?m)^default  100,000  3       0          0      0         1h2m    by cozeq since \d\d:\d\d:\d\d: 4028 \(quota\)$`,
		`(?m)^low .* by an operator since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`,
		`(?m)^\nPAUSED +SINCE +WHY +NEXT PROBE +ASIDE +MESSAGE AND HINT$`,
		`(?m)^credential c1 .* 4028 \(quota\) .*  used up - Buy more\.$`,
		`(?m)^\nCREDENTIAL  CALLS A SECOND  SERVED\nc1          19\.9            yes\nc2          not learnt      no$`,
	} {
		if !regexp.MustCompile(want).MatchString(terminal) {
			t.Errorf("no %s in\n%s", want, terminal)
		}
	}
	if strings.ContainsRune(terminal, 0x1b) {
		t.Error("a bot's id drives the terminal")
	}
	at := now.UTC().Format(time.RFC3339)
	want := "queue\tdefault\t100000\t3\t0\t0\t0\t3725\tby cozeq since " + at + ": 4028 (quota)\n"
	piped := show(false)
	if !strings.HasPrefix(piped, want) {
		t.Errorf("got\n%s\nwant first\n%s", piped, want)
	}
	if !strings.Contains(piped, "\t12\tnot\\tpublished\nlimit\tc1\t19.9\tyes\nlimit\tc2\tnot learnt\tno\n") {
		t.Errorf("got\n%s", piped)
	}
}

// What nobody serves is shown: tasks in asynq's groups, and those that were taken out of a
// queue. An id without a task, which the sweep has not come upon yet, is counted.
func TestQueuesShowWhatIsNotServed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		client := asynq.NewClientFromRedisClient(rdb)
		for range 3 {
			if _, err := client.Enqueue(asynq.NewTask(tasks.TypeChat, []byte("{}")), asynq.Group("g")); err != nil {
				t.Fatal(err)
			}
		}
		note := `{"queue":"default","id":"t9","why":"its message is gone","since":"2026-11-29T08:00:00Z","hint":"enqueue it again"}`
		if err := rdb.HSet(ctx, "cozeq:queue:{default}:unreadable", "t9", note).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.LPush(ctx, "asynq:{default}:pending", "dangling").Err(); err != nil {
			t.Fatal(err)
		}
		state, err := queuestate.ReadAll(ctx, rdb)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Queues) != 1 || state.Queues[0].Grouped != 3 || state.Queues[0].Pending != 1 || len(state.Unreadable) != 1 {
			t.Errorf("%+v", state)
		}
		var out bytes.Buffer
		c := &options{streams: &terminal.Streams{Out: &out}}
		if err := c.print(state); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"unserved\ttask t9\tdefault\t2026-11-29T08:00:00Z\tits message is gone\tenqueue it again\n",
			"unserved\t3 tasks\tdefault\t\tenqueued with asynq.Group, and workers of cozeq serve no groups\tenqueue them without it\n",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	})
}
