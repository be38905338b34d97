package deadletter_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/deadletter"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/workertest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// TestRunAndDelete: a failed task is found, run once however often that is asked for, and deleted only while it is failed.
func TestRunAndDelete(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		mock := cozetest.New(t, cozetest.WithRules(cozetest.Rule{Times: 1, Fault: cozetest.Fault{Kind: cozetest.Fail, Code: 4010}}))
		store := results.NewStore(rdb)
		t.Cleanup(func() { store.Close() })
		client, box := tasks.NewClient(store), deadletter.New(store)
		workertest.Start(t, rdb, mock.Client())
		id, err := client.Enqueue(ctx, tasks.Ask("bot", "one"), tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := store.Wait(ctx, id); err != nil || r.Status != results.Failed {
			t.Fatalf("%+v, %v", r, err)
		}
		var all []deadletter.Letter
		awaittest.Until(t, "asynq knows it too", func() bool {
			all, err = box.List(ctx, deadletter.Filter{Code: 4010, Class: "permanent", Queue: tasks.QueueDefault, Since: time.Now().Add(-time.Hour)})
			return err != nil || len(all) > 0
		})
		if err != nil || len(all) != 1 || all[0].ID != id || all[0].Failure == nil {
			t.Fatalf("%+v, %v", all, err)
		}
		if _, err := worker.PauseQueue(ctx, rdb, tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		for _, f := range []deadletter.Filter{{Code: 4000}, {Class: "transient"}, {Queue: "other"}, {Since: time.Now().Add(time.Hour)}} {
			if none, err := box.List(ctx, f); err != nil || len(none) != 0 {
				t.Errorf("%+v: %+v, %v", f, none, err)
			}
		}
		if _, err := box.Get(ctx, "nobody"); !errors.Is(err, deadletter.ErrNotFailed) {
			t.Errorf("nobody: %v", err)
		}
		for i := range 2 {
			if done, err := box.Run(ctx, all[0]); err != nil || done != (i == 0) {
				t.Errorf("run %d: %v, %v", i, done, err)
			}
		}
		// Who waits now gets the new end, not the old one.
		if r, err := store.Get(ctx, id); err != nil || r.Status != results.Queued || r.Error != nil {
			t.Errorf("run again: %+v, %v", r, err)
		}
		if done, err := box.Delete(ctx, all[0]); err != nil || done {
			t.Errorf("deleted while it waits: %v, %v", done, err)
		}
		if _, err := box.Get(ctx, id); !errors.Is(err, deadletter.ErrNotFailed) {
			t.Errorf("while it waits: %v", err)
		}
		if _, err := worker.ResumeQueue(ctx, rdb, tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		if r, err := store.Wait(ctx, id); err != nil || r.Status != results.Completed || mock.Accepted() != 2 {
			t.Errorf("%+v, %v after %d chats", r, err, mock.Accepted())
		}
	})
}

// TestWorkflow: a failed run of a workflow is found by its key and its failure, also when its record is gone, and is run again.
func TestWorkflow(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		mock := cozetest.New(t)
		store := results.NewStore(rdb)
		t.Cleanup(func() { store.Close() })
		client, box := tasks.NewClient(store), deadletter.New(store)
		workertest.Start(t, rdb, mock.Client())
		task := tasks.RunWorkflow("7461999", map[string]json.RawMessage{"x": json.RawMessage(`"[[mock:fail=4010 times=1]]"`)})
		task.Tenant = "shop"
		id, err := client.Enqueue(ctx, task, tasks.Options{Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		failed, err := store.Wait(ctx, id)
		if err != nil || failed.Status != results.Failed {
			t.Fatalf("%+v, %v", failed, err)
		}
		var all []deadletter.Letter
		find := func() bool {
			all, err = box.List(ctx, deadletter.Filter{Code: failed.Error.Code, Class: failed.Error.Class, Tenant: "shop"})
			return err != nil || len(all) > 0
		}
		awaittest.Until(t, "asynq knows it too", find)
		if err := store.Delete(ctx, id); err != nil {
			t.Fatal(err)
		}
		if !find() || err != nil || all[0].ID != id || all[0].Workflow != "7461999" {
			t.Fatalf("without its record: %+v, %v", all, err)
		}
		for i := range 2 {
			if done, err := box.Run(ctx, all[0]); err != nil || done != (i == 0) {
				t.Errorf("run %d: %v, %v", i, done, err)
			}
		}
		awaittest.Until(t, "its end", func() bool {
			r, err := store.Get(ctx, id)
			return err == nil && r.Status == results.Completed
		})
	})
}

// TestOthers: tasks of other types are listed and deleted as well, with what asynq knows of them.
func TestOthers(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		store := results.NewStore(rdb)
		t.Cleanup(func() { store.Close() })
		inspector := asynq.NewInspectorFromRedisClient(rdb)
		info, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("other", nil), asynq.TaskID("o1"))
		if err == nil {
			err = inspector.ArchiveTask(info.Queue, info.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		box := deadletter.New(store)
		l, err := box.Get(ctx, "o1")
		if err != nil || l.Type != "other" || l.Failure != nil {
			t.Fatalf("%+v, %v", l, err)
		}
		if done, err := box.Delete(ctx, *l); err != nil || !done {
			t.Errorf("%v, %v", done, err)
		}
		if _, err := inspector.GetTaskInfo(info.Queue, "o1"); !errors.Is(err, asynq.ErrTaskNotFound) {
			t.Errorf("still there: %v", err)
		}
	})
}
