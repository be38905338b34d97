package dashboard_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/tasks"
)

// changing is what differs from run to run.
var changing = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b73\d{17}\b`), "COZE_ID"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`(logid: )\w+`), "${1}LOGID"},
	{regexp.MustCompile(`(lane_seq: )\d+`), "${1}SEQ"},
}

// golden compares texts with testdata/NAME.txt.
func golden(t *testing.T, name string, shown shownTask) {
	t.Helper()
	got := "--- payload\n" + shown.Payload + "\n--- result\n" + shown.Result + "\n"
	for _, c := range changing {
		got = c.what.ReplaceAllString(got, c.is)
	}
	tasktest.Golden(t, name+".txt", got)
}

// long is a question that is kept apart from the payload.
func long() string {
	return "请总结：\n\n" + strings.Repeat("从前有座山，山里有座庙，庙里有个老和尚在讲故事。\n", 40)
}

// TestShown has a task in each state that asynq knows, and looks at its page and at
// its line in the list.
func TestShown(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		fake := cozetest.New(t, cozetest.WithRules(cozetest.Rule{Contains: "区别", Fault: cozetest.Fault{Reasoning: true,
			Answer: "**协程**与**线程**：\n\n1. 协程由 <runtime> 调度。\n2. 线程由内核调度。\r\n\n```go\nfmt.Println(\"你好\")\n```\n"}}))
		r := open(t, rdb, dashboard.Config{})
		r.serve(fake)

		ids, states := map[string]string{}, map[string]asynq.TaskState{}
		put := func(name string, state asynq.TaskState, chat *tasks.Chat, o tasks.Options) {
			ids[name], states[name] = r.enqueue(chat, o), state
		}
		answered := ask("协程和线程有什么区别？")
		answered.CustomID, answered.BatchID = "faq-001", "20261124"
		put("completed", asynq.TaskStateCompleted, answered, tasks.Options{})

		failed := ask("不许问 [[mock:code=4010]]")
		failed.BotID, failed.MetaData = "7399", map[string]string{"来源": "表单 & <b>"}
		put("archived", asynq.TaskStateArchived, failed, tasks.Options{})
		put("archived_long", asynq.TaskStateArchived, ask(long()+"[[mock:code=4010]]"), tasks.Options{})
		put("completed_long", asynq.TaskStateCompleted, ask(long()), tasks.Options{})
		expired := ask("太晚了")
		expired.ExpiresAt = time.Now().Add(-time.Minute)
		put("expired", asynq.TaskStateCompleted, expired, tasks.Options{})

		active := ask("今天天气怎么样？ [[mock:pace=60s]]")
		active.AdditionalMessages = append([]tasks.Message{
			{Role: "user", Type: "question", Content: "我在上海。", ContentType: "text"},
			{Role: "assistant", Type: "answer", Content: "好的。\n我记住了。", ContentType: "text"},
		}, active.AdditionalMessages...)
		active.ConversationKey, active.Stream = "客户-张三", true
		active.Parameters = map[string]json.RawMessage{"n": json.RawMessage(`12345678901234567890`)}
		put("active", asynq.TaskStateActive, active, tasks.Options{})
		next := ask("明天呢？")
		next.ConversationKey = "客户-张三"
		put("scheduled", asynq.TaskStateScheduled, next, tasks.Options{})

		image := ask("")
		image.AdditionalMessages[0].ContentType = "object_string"
		image.AdditionalMessages[0].Content = `[{"type":"text","text":"\u8fd9\u662f\u4ec0\u4e48\uff1f"},{"type":"image","file_url":"https://example.com/a.png?x=1&y=2"}]`
		put("pending", asynq.TaskStatePending, image, tasks.Options{Queue: "low"})

		for name, id := range ids {
			r.await(queueOf(name), id, states[name])
		}
		r.awaitChat(ids["active"])
		// The last, as it holds up all others with its credential.
		put("retry", asynq.TaskStateRetry, ask("等一等 [[mock:limit=3600s]]"), tasks.Options{})
		r.await("default", ids["retry"], asynq.TaskStateRetry)
		for name, id := range ids {
			shown := r.task(queueOf(name), id)
			if shown.ID != id || shown.Type != tasks.TypeChat || shown.State != states[name].String() {
				t.Errorf("%s: asynqmon's own fields are %+v", name, shown)
			}
			golden(t, name, shown)
		}
		for _, name := range slices.Sorted(maps.Keys(ids)) {
			list := r.list(queueOf(name), states[name].String())
			i := slices.IndexFunc(list, func(t shownTask) bool { return t.ID == ids[name] })
			if i < 0 {
				t.Fatalf("%s is not in its list", name)
			}
			golden(t, "list_"+name, list[i])
		}
	})
}

// queueOf is the queue of a task of TestShown: nobody serves low.
func queueOf(name string) string {
	if name == "pending" {
		return "low"
	}
	return "default"
}

// TestServers shows what workers have in hand.
func TestServers(t *testing.T) {
	t.Parallel()
	r := open(t, redistest.Start(t).Client(), dashboard.Config{})
	r.serve(cozetest.New(t))
	id := r.enqueue(ask("很慢的问题 [[mock:pace=60s]]"), tasks.Options{})
	r.await("default", id, asynq.TaskStateActive)
	type servers struct {
		Servers []struct {
			Host    string
			Workers []struct {
				ID      string `json:"task_id"`
				Payload string `json:"task_payload"`
			} `json:"active_workers"`
		}
	}
	// asynq writes what it has in hand every 5 s.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var got servers
		r.read(dashboard.Root+"/api/servers", &got)
		for _, s := range got.Servers {
			for _, w := range s.Workers {
				if w.ID != id || s.Host == "" {
					t.Errorf("shown as %+v", s)
				}
				if want := "question: 很慢的问题 [[mock:pace=60s]]\nid: " + id; w.Payload != want {
					t.Errorf("shown as %q, want %q", w.Payload, want)
				}
				return
			}
		}
	}
	t.Fatal("no server shows the task")
}

// TestShownWithoutRecord is for tasks that another client has enqueued, and for
// payloads that no worker will take.
func TestShownWithoutRecord(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := open(t, rdb, dashboard.Config{})
		client := asynq.NewClientFromRedisClient(rdb)
		for name, payload := range map[string]string{
			"foreign": `{"v":1,"bot_id":"73","additional_messages":[{"role":"user","content":"\u4f60\u597d","content_type":"text"}],"new_field":{"\u57ce":[1,1.50]}}`,
			"broken":  `{"v":1,"additional_messages":"你好"`,
			"newer":   `{"v":2,"question":"你好"}`,
			"empty":   `{"v":1}`,
			"bytes":   "\x00\x01\xff",
		} {
			if _, err := client.Enqueue(asynq.NewTask(tasks.TypeChat, []byte(payload)), asynq.TaskID(name)); err != nil {
				t.Fatal(err)
			}
			golden(t, name, r.task("default", name))
		}
		for _, task := range r.list("default", "pending") {
			golden(t, "list_"+task.ID, task)
		}
	})
}

// A Redis that is gone is an error on the page, not a page that hangs.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := open(t, server.Client(), dashboard.Config{})
	id := r.enqueue(ask("你好"), tasks.Options{})
	server.Kill()
	for _, path := range []string{"/tasks/" + id, "/pending_tasks"} {
		if status := r.call("GET", dashboard.Root+"/api/queues/default"+path, "").StatusCode; status != 500 {
			t.Errorf("%s: status %d, want 500", path, status)
		}
	}
	r.text(r.call("GET", "/monitor/", ""), 200)
}
