package dashboard_test

import (
	"strings"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestEncrypted shows what is encrypted to who holds the key, and says so to who does
// not.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	keys, err := results.ParseKeys([]byte("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redistest.Embedded(t)
	with, without := open(t, rdb, dashboard.Config{}), open(t, rdb, dashboard.Config{})
	with.results.Keys = keys
	with.serve(cozetest.New(t, cozetest.WithRules(cozetest.Rule{Contains: "不许问", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4010, Msg: "不许问的话"}})))

	chat := ask("协程和线程有什么区别？")
	chat.MetaData = map[string]string{"来源": "表单"}
	chat.CustomID = "faq-001"
	answered := with.enqueue(chat, tasks.Options{})
	failed := with.enqueue(ask(long()+"不许问"), tasks.Options{})
	pending := with.enqueue(ask("明天呢？"), tasks.Options{Queue: "low"})
	with.await("default", answered, asynq.TaskStateCompleted)
	with.await("default", failed, asynq.TaskStateArchived)

	const marker = "encrypted with key k1: set COZEQ_ENCRYPTION_KEY_FILE"
	look := func(r *room, queue, id, state string) (page, line string) {
		one := r.task(queue, id)
		for _, listed := range r.list(queue, state) {
			if listed.ID == id {
				return one.Payload + one.Result + one.Error, listed.Payload + listed.Result + listed.Error
			}
		}
		t.Fatalf("%s is in no list of %s", id, state)
		return "", ""
	}
	for _, c := range []struct{ queue, id, state, said, inList string }{
		{"default", answered, "completed", "协程和线程有什么区别", "Mock answer"},
		{"default", answered, "completed", "来源", "faq-001"},
		{"default", failed, "archived", "庙里有个老和尚", "不许问的话"},
		{"low", pending, "pending", "明天呢", "明天呢"},
	} {
		page, line := look(with, c.queue, c.id, c.state)
		if !strings.Contains(page, c.said) || !strings.Contains(line, c.inList) || strings.Contains(page+line, "enc:v1:") {
			t.Errorf("with the key:\n%s\n--- in the list\n%s", page, line)
		}
		page, line = look(without, c.queue, c.id, c.state)
		if !strings.Contains(page, marker) || !strings.Contains(line, "encrypted with key k1") || strings.Contains(page+line, "enc:v1:") {
			t.Errorf("without the key:\n%s\n--- in the list\n%s", page, line)
		}
		// What a worker tells asynq refers to the record, and this is where it is shown.
		if strings.Contains(page+line, "the record says more") {
			t.Errorf("the record's error is not shown:\n%s\n--- in the list\n%s", page, line)
		}
	}
}
