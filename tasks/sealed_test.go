package tasks_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func someKeys(t testing.TB) *results.Keys {
	t.Helper()
	keys, err := results.ParseKeys([]byte("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What was encrypted on its way into the queue is the same chat when it is opened, and
// what lanes and sweeps go by can be read without.
func TestSealedPayload(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		keys := someKeys(t)
		l := tasktest.New(t, rdb)
		l.Store.Keys = keys
		for name, question := range map[string]string{"short": "why?", "long": strings.Repeat("why? ", 1000)} {
			chat := fullChat()
			chat.AdditionalMessages[1] = tasks.Question(question)
			l.Enqueue(chat, name)
			info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(info.Payload), "why?") || len(info.Payload) > 8<<10 {
				t.Errorf("%s: %s", name, info.Payload)
			}
			got, err := tasks.Decode(info.Payload)
			if err != nil || got.Lane() != chat.Lane() || got.CustomID != chat.CustomID || got.LaneSeq == 0 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if _, bad := errors.AsType[*tasks.InvalidError](got.Validate()); !bad {
				t.Errorf("%s: a payload that nobody has opened is valid", name)
			}
			sealed, ok := errors.AsType[*results.SealedError](got.Open(nil, name))
			if !ok || sealed.KeyID != "k1" || got.Sealed == "" {
				t.Errorf("%s: %v", name, sealed)
			}
			if err := got.Open(keys, name); err != nil {
				t.Fatal(err)
			}
			if got.HasBody() != (name == "long") {
				t.Errorf("%s: %+v", name, got)
			}
			if got.HasBody() {
				body, err := rdb.Get(t.Context(), results.BodyKey(name)).Bytes()
				if err != nil || !seal.Is(string(body)) {
					t.Fatalf("%.40q, %v", body, err)
				}
				if err := got.OpenBody(keys, "another", body); err == nil {
					t.Error("a body opens as another task's")
				}
				if err := got.OpenBody(keys, name, body); err != nil {
					t.Fatal(err)
				}
				got.Preview = ""
			}
			chat.LaneSeq = got.LaneSeq
			if !reflect.DeepEqual(got, chat) {
				t.Errorf("%s: got %+v, want %+v", name, got, chat)
			}
		}
	})
}

func TestSealedIsWrong(t *testing.T) {
	keys := someKeys(t)
	for name, chat := range map[string]*tasks.Chat{
		"no value":      {Sealed: "why?"},
		"not JSON":      {Sealed: keys.Seal("t1", "payload", "why?")},
		"another shape": {Sealed: keys.Seal("t1", "payload", `{"additional_messages":"why?"}`)},
		"beside clear":  {Sealed: keys.Seal("t1", "payload", `{}`), Preview: "why?"},
	} {
		if _, bad := errors.AsType[*tasks.InvalidError](chat.Open(keys, "t1")); !bad {
			t.Errorf("%s: %v", name, chat.Open(keys, "t1"))
		}
	}
}

func TestLargestPayload(t *testing.T) {
	if _, err := tasks.Decode(make([]byte, 32<<20+1)); err == nil || !strings.Contains(err.Error(), "33554433 bytes, at most 33554432") {
		t.Errorf("got %v", err)
	}
	chat := tasks.Ask("bot", "why?")
	chat.Parameters = map[string]json.RawMessage{"p": json.RawMessage(`"` + strings.Repeat("x", 255<<10) + `"`)}
	if err := chat.Validate(); err != nil {
		t.Error(err)
	}
	chat.CustomVariables = map[string]string{"v": strings.Repeat("x", 1<<10)}
	if err := chat.Validate(); err == nil || !strings.Contains(err.Error(), "custom_variables, parameters and extra_params are 262148 bytes, at most 262144") {
		t.Errorf("got %v", err)
	}
}

func FuzzOpenSealed(f *testing.F) {
	keys := someKeys(f)
	f.Add([]byte(`{"v":1,"sealed":"`+keys.Seal("t1", "payload", `{"additional_messages":[{"role":"user","content":"why?"}]}`)+`"}`), "[]")
	f.Add([]byte(`{"v":1,"sealed":"enc:v1:k1:"}`), keys.Seal("t1", "body", `[]`))
	f.Fuzz(func(t *testing.T, payload []byte, body string) {
		chat, err := tasks.Decode(payload)
		if err != nil {
			return
		}
		if err := chat.Open(keys, "t1"); err != nil {
			return
		}
		if chat.Sealed != "" {
			t.Errorf("opened, and still sealed: %+v", chat)
		}
		_ = chat.OpenBody(keys, "t1", []byte(body))
		_ = chat.Validate()
	})
}
