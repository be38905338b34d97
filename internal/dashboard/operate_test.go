package dashboard_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

const api = dashboard.Root + "/api/queues/default/"

func ask(question string) *tasks.Chat { return tasks.Ask("", question) }

// turns enqueues two turns of a conversation: the second waits for the first.
func turns(r *room) (first, second string) {
	for i, question := range []string{"一", "二"} {
		chat := ask(question)
		chat.ConversationKey = "客户"
		id := r.enqueue(chat, tasks.Options{})
		if i == 0 {
			first = id
		} else {
			second = id
		}
	}
	return first, second
}

// Buttons that end a task end its record, too, so nobody waits in vain.
func TestDeleteCancels(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := open(t, rdb, dashboard.Config{Write: true})
		pending := r.enqueue(ask("删掉"), tasks.Options{})
		first, second := turns(r)
		kept := r.enqueue(ask("留下"), tasks.Options{})

		r.text(r.call("DELETE", api+"pending_tasks/"+pending, ""), 204)
		r.text(r.call("DELETE", api+"scheduled_tasks/"+second, ""), 204)
		for _, id := range []string{pending, second} {
			if got := r.status(id); got != results.Canceled {
				t.Errorf("%s is %s", id, got)
			}
			if _, err := r.inspector.GetTaskInfo("default", id); !errors.Is(err, asynq.ErrTaskNotFound) {
				t.Errorf("%s is still asynq's: %v", id, err)
			}
		}
		form, _ := json.Marshal(map[string][]string{"task_ids": {first, "nobody"}})
		answer := r.text(r.call("POST", api+"pending_tasks:batch_delete", string(form)), 200)
		if want := `{"deleted_ids":["` + first + `"],"failed_ids":["nobody"]}` + "\n"; answer != want {
			t.Errorf("batch_delete: %s, want %s", answer, want)
		}
		if got := r.status(kept); got != results.Queued {
			t.Errorf("the other one is %s", got)
		}
		r.text(r.call("POST", api+"pending_tasks:batch_delete", "no form"), 400)
	})
}

// A task that runs is canceled at Coze, where asynqmon would have it asked again.
func TestCancelActive(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		fake := cozetest.New(t)
		r := open(t, rdb, dashboard.Config{Write: true})
		r.serve(fake)
		var ids []string
		for range 3 {
			ids = append(ids, r.enqueue(ask("很慢 [[mock:pace=60s]]"), tasks.Options{}))
		}
		for _, id := range ids {
			r.awaitChat(id)
		}
		r.text(r.call("POST", api+"active_tasks/"+ids[0]+":cancel", ""), 204)
		answer := r.text(r.call("POST", api+"active_tasks:batch_cancel", `{"task_ids":["`+ids[1]+`"]}`), 200)
		if want := `{"canceled_ids":["` + ids[1] + `"],"error_ids":[]}` + "\n"; answer != want {
			t.Errorf("batch_cancel: %s, want %s", answer, want)
		}
		r.text(r.call("POST", api+"active_tasks:cancel_all", ""), 204)
		for _, id := range ids {
			r.awaitStatus(id, results.Canceled)
		}
		if n := fake.Calls("/v3/chat/cancel"); n != 3 {
			t.Errorf("%d chats were canceled at Coze, want 3", n)
		}
		// The others may be gone from asynq's lists: cancel_all has met them once more.
		r.await("default", ids[2], asynq.TaskStateCompleted)
		if shown := r.task("default", ids[2]).Result; !strings.HasPrefix(shown, "status: canceled\n") {
			t.Errorf("the page says %q", shown)
		}
	})
}

// What would leave somebody waiting is refused with a reason, and changes nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := open(t, redistest.Embedded(t), dashboard.Config{Write: true})
	first, second := turns(r)
	for request, reason := range map[string]string{
		"POST pending_tasks/" + first + ":archive":    "would wait for ever",
		"POST scheduled_tasks/" + second + ":archive": "would wait for ever",
		"POST pending_tasks:batch_archive":            "would wait for ever",
		"POST pending_tasks:archive_all":              "would wait for ever",
		"POST retry_tasks:archive_all":                "would wait for ever",
		"DELETE scheduled_tasks:delete_all":           "not all at once",
	} {
		method, path, _ := strings.Cut(request, " ")
		if answer := r.text(r.call(method, api+path, `{"task_ids":[]}`), 409); !strings.Contains(answer, reason) {
			t.Errorf("%s: %s", request, answer)
		}
	}
	r.await("default", first, asynq.TaskStatePending)
	r.await("default", second, asynq.TaskStateScheduled)
}

// A failed task can be run again and deleted, a queue paused: that is asynqmon's own.
func TestOperateEnded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		fake := cozetest.New(t)
		r := open(t, rdb, dashboard.Config{Write: true})
		r.serve(fake)
		again := r.enqueue(ask("第一次不行 [[mock:code=4010 times=1]]"), tasks.Options{})
		gone := r.enqueue(ask("总不行 [[mock:code=4010]]"), tasks.Options{})
		r.await("default", again, asynq.TaskStateArchived)
		r.await("default", gone, asynq.TaskStateArchived)
		r.text(r.call("POST", api+"archived_tasks/"+again+":run", ""), 204)
		r.await("default", again, asynq.TaskStateCompleted)
		if got := r.status(again); got != results.Completed {
			t.Errorf("run again, it is %s", got)
		}
		r.text(r.call("DELETE", api+"archived_tasks/"+gone, ""), 204)
		if got := r.status(gone); got != results.Failed {
			t.Errorf("a deleted failure is %s", got)
		}
		r.text(r.call("DELETE", api+"completed_tasks:delete_all", ""), 200)
		r.text(r.call("POST", dashboard.Root+"/api/queues/default:pause", ""), 204)
		if info, err := r.inspector.GetQueueInfo("default"); err != nil || !info.Paused || info.Size != 0 {
			t.Errorf("the queue: %+v, %v", info, err)
		}
		r.text(r.call("POST", dashboard.Root+"/api/queues/default:resume", ""), 204)
	})
}

// Tasks of other programs are shown and handled as asynqmon does it.
func TestForeignTasks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := open(t, rdb, dashboard.Config{Write: true})
		client := asynq.NewClientFromRedisClient(rdb)
		for id, payload := range map[string]string{"mail:1": `{"to":"你好"}`, "mail:2": "\xff\xfe", "mail:3": "{}"} {
			if _, err := client.Enqueue(asynq.NewTask("mail", []byte(payload)), asynq.TaskID(id)); err != nil {
				t.Fatal(err)
			}
		}
		response := r.call("GET", api+"tasks/mail:1", "")
		if text := r.text(response, 200); !strings.Contains(text, `"payload":"{\"to\":\"你好\"}"`) {
			t.Errorf("shown as %s", text)
		}
		for _, task := range r.list("default", "pending") {
			if want := map[string]string{"mail:1": `{"to":"你好"}`, "mail:2": "(2 bytes that are no text)", "mail:3": "{}"}[task.ID]; task.Payload != want {
				t.Errorf("listed as %+v, want %s", task, want)
			}
		}
		r.text(r.call("POST", api+"pending_tasks/mail:1:archive", ""), 204)
		r.await("default", "mail:1", asynq.TaskStateArchived)
		r.text(r.call("DELETE", api+"pending_tasks/mail:2", ""), 204)
		if _, err := r.inspector.GetTaskInfo("default", "mail:2"); !errors.Is(err, asynq.ErrTaskNotFound) {
			t.Errorf("mail:2: %v", err)
		}
		r.text(r.call("POST", api+"active_tasks/mail:3:cancel", ""), 204)
		r.await("default", "mail:3", asynq.TaskStatePending)
	})
}
