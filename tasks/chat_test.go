package tasks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/tasktest"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// fullChat has every field of version 1.
func fullChat() *tasks.Chat {
	return &tasks.Chat{
		V: 1, BotID: "7460001", UserID: "u1",
		AdditionalMessages: []tasks.Message{
			{Role: "assistant", Type: "answer", Content: "Ask me.", ContentType: "text"},
			{Role: "user", Type: "question", Content: `[{"type":"text","text":"What is <this>?"},{"type":"image","file_id":"f1"}]`,
				ContentType: "object_string", MetaData: map[string]string{"row": "7"}},
		},
		ConversationKey: "talk 7",
		CustomVariables: map[string]string{"name": "小明"},
		Parameters:      map[string]json.RawMessage{"limit": json.RawMessage(`{"n":3}`)},
		ExtraParams:     map[string]string{"a": "b"},
		MetaData:        map[string]string{"k": "v"},
		AutoSaveHistory: new(true),
		Tools:           map[string]tasks.ToolWebhook{"t": {URL: "https://example.com/t", Secret: "shop"}},
		Stream:          true,
		Tenant:          "shop",
		BatchID:         "b1", CustomID: "row 7",
		ExpiresAt:   time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		LaneSeq:     946684800000000, // the bubble's time
		Recorded:    true,
	}
}

// A payload of version 1 is written as it was, and reads as it did: tasks outlive
// the program that enqueued them, and other languages write them.
func TestGoldenPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tasktest.New(t, redistest.Embedded(t))
		l.Enqueue(fullChat(), "full")
		info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, "full")
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, info.Payload, "", "  "); err != nil {
			t.Fatal(err)
		}
		tasktest.Golden(t, "chat-v1.json", indented.String()+"\n")
		if info.Type != "coze:chat" {
			t.Errorf("type %q", info.Type)
		}
	})

	decode := func(name string, want *tasks.Chat) {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tasks.Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for name, value := range got.Parameters { // RawMessage keeps the file's spaces
			var compact bytes.Buffer
			if err := json.Compact(&compact, value); err != nil {
				t.Fatal(err)
			}
			got.Parameters[name] = compact.Bytes()
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	decode("chat-v1.json", fullChat())
	decode("chat-v1-by-hand.json", &tasks.Chat{
		V: 1, BotID: "7460001", ConversationID: "7461",
		AdditionalMessages: []tasks.Message{{Role: "user", Content: "Why?"}},
	})
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]string{
		"":                      "payload: unexpected end of JSON input",
		"hello":                 "payload: invalid character 'h' looking for beginning of value",
		"null":                  "v: 0, but this worker reads version 1",
		"{}":                    "v: 0, but this worker reads version 1",
		`{"v":2}`:               "v: 2, but this worker reads version 1",
		`{"v":"1"}`:             "payload: json: cannot unmarshal string into Go struct field Chat.v of type int",
		"{\"v\":1,\"b\":\"\xff": "payload: not UTF-8",
	}
	for payload, want := range tests {
		_, err := tasks.Decode([]byte(payload))
		if _, ok := errors.AsType[*tasks.InvalidError](err); !ok || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", payload, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"chat-v1.json", "chat-v1-by-hand.json"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":1,"preview":"long…","parameters":{"a":[1, 2]},"expires_at":"2100-01-01T00:00:00+08:00"}`))
	f.Add([]byte(`{"v":1,"additional_messages":null,"custom_variables":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		chat, err := tasks.Decode(payload)
		if err != nil {
			if _, ok := errors.AsType[*tasks.InvalidError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if err := chat.Validate(); err != nil {
			if _, ok := errors.AsType[*tasks.InvalidError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		}
		first, err := json.Marshal(chat)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tasks.Decode(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written, read and written again:\n%s\n%s, %v", first, second, err)
		}
		if again.Lane() != chat.Lane() || again.HasBody() != chat.HasBody() {
			t.Fatalf("%+v became %+v", chat, again)
		}
	})
}

func TestLaneNames(t *testing.T) {
	for want, chat := range map[string]tasks.Chat{
		"":          {BotID: "b"},
		"id:7461":   {BotID: "b", ConversationID: "7461"},
		"key:b:k":   {BotID: "b", ConversationKey: "k"},
		"key::k":    {ConversationKey: "k"},
		"key:b:k:l": {BotID: "b", ConversationKey: "k:l"},
	} {
		if got := chat.Lane(); got != want {
			t.Errorf("%+v is in lane %q, want %q", chat, got, want)
		}
	}
}

// Messages of more than 2 KiB stay out of the queue.
func TestBody(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		long := strings.Repeat("问", 1000) // 3,000 bytes
		chat := tasks.Ask("bot", "short")
		chat.AdditionalMessages = slices.Insert(chat.AdditionalMessages, 0,
			tasks.Message{Role: "assistant", Content: "before"})
		chat.AdditionalMessages[1].Content = long
		l.Enqueue(chat, "long")
		l.Enqueue(tasks.Ask("bot", strings.Repeat("a", 1900)), "short")
		if chat.V != 0 || chat.UserID != "" || chat.Preview != "" {
			t.Errorf("the caller's chat was changed: %+v", chat)
		}

		read := func(id string) *tasks.Chat {
			t.Helper()
			info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, id)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Payload) > 3<<10 {
				t.Errorf("%s: a payload of %d bytes", id, len(info.Payload))
			}
			c, err := tasks.Decode(info.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if c.UserID != tasks.DefaultUserID {
				t.Errorf("%s: user %q", id, c.UserID)
			}
			return c
		}
		if c := read("short"); c.HasBody() || c.Preview != "" || len(c.AdditionalMessages) != 1 {
			t.Errorf("got %+v", c)
		}
		if n := l.Redis.Exists(t.Context(), results.BodyKey("short")).Val(); n != 0 {
			t.Error("a short question has a body")
		}

		c := read("long")
		if !c.HasBody() || c.Preview != strings.Repeat("问", 200)+"…" || len(c.AdditionalMessages) != 0 {
			t.Errorf("got %+v", c)
		}
		a, err := record.New(l.Store).Begin(t.Context(), c.Record("long", tasks.QueueDefault), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetBody(a.Body); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.AdditionalMessages, chat.AdditionalMessages) || c.HasBody() {
			t.Errorf("got %+v", c.AdditionalMessages)
		}
	})
	for body, want := range map[string]string{
		"":  "additional_messages: kept apart from the payload, and gone from Redis: enqueue the question again",
		"{": "additional_messages: unexpected end of JSON input",
	} {
		var c tasks.Chat
		err := c.SetBody([]byte(body))
		if _, ok := errors.AsType[*tasks.InvalidError](err); !ok || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
}
