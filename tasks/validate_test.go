package tasks_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"time"

	"github.com/cozeq/cozeq/internal/tasktest"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
)

func with(f func(c *tasks.Chat)) *tasks.Chat {
	c := tasks.Ask("bot", "why?")
	f(c)
	return c
}

func message(f func(m *tasks.Message)) *tasks.Chat {
	return with(func(c *tasks.Chat) { f(&c.AdditionalMessages[0]) })
}

func object(content string) *tasks.Chat {
	return message(func(m *tasks.Message) { m.ContentType, m.Content = "object_string", content })
}

func pairs(n int) map[string]string {
	meta := map[string]string{}
	for i := range n {
		meta[fmt.Sprint("k", i)] = "v"
	}
	return meta
}

func toolsOf(n int, url string) map[string]tasks.ToolWebhook {
	all := make(map[string]tasks.ToolWebhook)
	for i := range n {
		all[fmt.Sprint("t", i)] = tasks.ToolWebhook{URL: url}
	}
	return all
}

func TestValid(t *testing.T) {
	valid := map[string]*tasks.Chat{
		"a question":         tasks.Ask("bot", "why?"),
		"no bot":             tasks.Ask("", "why?"),
		"the most messages":  with(func(c *tasks.Chat) { c.AdditionalMessages = slices.Repeat(c.AdditionalMessages, 100) }),
		"the longest key":    with(func(c *tasks.Chat) { c.ConversationKey = strings.Repeat("k", 512) }),
		"the most meta data": with(func(c *tasks.Chat) { c.MetaData = pairs(16) }),
		"the longest pair": with(func(c *tasks.Chat) {
			c.MetaData = map[string]string{strings.Repeat("键", 64): strings.Repeat("值", 512)}
		}),
		"a message's meta data": message(func(m *tasks.Message) { m.MetaData = pairs(15) }),
		"no type":               message(func(m *tasks.Message) { m.Type, m.ContentType = "", "" }),
		"the largest body":      message(func(m *tasks.Message) { m.Content = strings.Repeat("a", 15<<20) }),
		"a file and a text":     object(`[{"type":"text","text":"?"},{"type":"file","file_url":"https://example.com/a"}]`),
		"the most tools":        with(func(c *tasks.Chat) { c.Tools = toolsOf(16, strings.Repeat("x", 2048)) }),
		"only an image":         object(`[{"type":"image","file_id":"1"}]`),
		"a tool's answer": with(func(c *tasks.Chat) {
			c.AdditionalMessages = slices.Insert(c.AdditionalMessages, 0, tasks.Message{Role: "assistant", Type: "tool_response", Content: "x"})
		}),
	}
	for name, chat := range valid {
		if err := chat.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each rule's message, which people read in a batch's report, is in the golden file.
func TestInvalid(t *testing.T) {
	chats := map[string]*tasks.Chat{
		"no message":           {BotID: "bot"},
		"too many messages":    with(func(c *tasks.Chat) { c.AdditionalMessages = slices.Repeat(c.AdditionalMessages, 101) }),
		"too long":             message(func(m *tasks.Message) { m.Content = strings.Repeat("a", 15<<20+1) }),
		"role":                 message(func(m *tasks.Message) { m.Role = "system" }),
		"no role":              message(func(m *tasks.Message) { m.Role = "" }),
		"last is not a user's": message(func(m *tasks.Message) { m.Role, m.Type = "assistant", "answer" }),
		"question of the bot":  message(func(m *tasks.Message) { m.Role = "assistant" }),
		"type":                 message(func(m *tasks.Message) { m.Type = "verbose" }),
		"no content":           message(func(m *tasks.Message) { m.Content = "" }),
		"content not UTF-8":    message(func(m *tasks.Message) { m.Content = "\xff" }),
		"content type":         message(func(m *tasks.Message) { m.ContentType = "card" }),
		"object no JSON":       object("hello"),
		"object no array":      object(`{"type":"text"}`),
		"object empty":         object("[]"),
		"object type":          object(`[{"type":"video"}]`),
		"object no file":       object(`[{"type":"text"},{"type":"audio"}]`),
		"object two texts":     object(`[{"type":"text"},{"type":"text"},{"type":"file","file_id":"1"}]`),
		"object only text":     object(`[{"type":"text","text":"?"}]`),
		"question meta data":   message(func(m *tasks.Message) { m.MetaData = pairs(16) }),
		"message meta data": with(func(c *tasks.Chat) {
			c.AdditionalMessages = slices.Insert(c.AdditionalMessages, 0, tasks.Message{Role: "user", Content: "x", MetaData: pairs(17)})
		}),
		"meta data":                  with(func(c *tasks.Chat) { c.MetaData = pairs(17) }),
		"meta key empty":             with(func(c *tasks.Chat) { c.MetaData = map[string]string{"": "v"} }),
		"meta key long":              with(func(c *tasks.Chat) { c.MetaData = map[string]string{strings.Repeat("键", 65): "v"} }),
		"meta value empty":           with(func(c *tasks.Chat) { c.MetaData = map[string]string{"k": ""} }),
		"meta value long":            with(func(c *tasks.Chat) { c.MetaData = map[string]string{"k": strings.Repeat("值", 513)} }),
		"two conversations":          with(func(c *tasks.Chat) { c.ConversationID, c.ConversationKey = "1", "k" }),
		"conversation key long":      with(func(c *tasks.Chat) { c.ConversationKey = strings.Repeat("k", 513) }),
		"tenant":                     with(func(c *tasks.Chat) { c.Tenant = "The Shop" }),
		"tenant long":                with(func(c *tasks.Chat) { c.Tenant = strings.Repeat("a", 65) }),
		"tools too many":             with(func(c *tasks.Chat) { c.Tools = toolsOf(17, "https://example.com") }),
		"tool without a name":        with(func(c *tasks.Chat) { c.Tools = map[string]tasks.ToolWebhook{"": {URL: "https://example.com"}} }),
		"tool without a URL":         with(func(c *tasks.Chat) { c.Tools = toolsOf(1, "") }),
		"tool with a long URL":       with(func(c *tasks.Chat) { c.Tools = toolsOf(1, strings.Repeat("x", 2049)) }),
		"tools without history":      with(func(c *tasks.Chat) { c.AutoSaveHistory, c.Tools = new(bool), toolsOf(1, "https://example.com") }),
		"tools of a workflow":        {WorkflowID: "1", Tools: toolsOf(1, "https://example.com")},
		"conversation key not UTF-8": with(func(c *tasks.Chat) { c.ConversationKey = "\xff" }),
	}
	options := map[string]tasks.Options{
		"option id":                {ID: "a b"},
		"option id long":           {ID: strings.Repeat("a", 201)},
		"option id braces":         {ID: "{a}"},
		"option queue":             {ID: "a", Queue: "Default"},
		"option queue braces":      {ID: "a", Queue: "a}x"},
		"option queue long":        {ID: "a", Queue: strings.Repeat("a", 65)},
		"option attempts negative": {ID: "a", Attempts: -1},
		"option attempts":          {ID: "a", Attempts: 1_000_001},
		"option timeout":           {ID: "a", Timeout: time.Second - 1},
		"option timeout negative":  {ID: "a", Timeout: -time.Second},
		"option timeout long":      {ID: "a", Timeout: 1<<63 - 1},
	}
	rdb := redistest.Embedded(t)
	l := tasktest.New(t, rdb)
	errs := map[string]error{}
	for name, chat := range chats {
		errs[name] = chat.Validate()
		if _, err := l.Tasks.Enqueue(t.Context(), chat, tasks.Options{}); err == nil || err.Error() != errs[name].Error() {
			t.Errorf("%s: Enqueue says %v", name, err)
		}
	}
	for name, o := range options {
		_, errs[name] = l.Tasks.Enqueue(t.Context(), tasks.Ask("bot", "why?"), o)
	}
	var report strings.Builder
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		if _, ok := errors.AsType[*tasks.InvalidError](errs[name]); !ok {
			t.Errorf("%s: %v", name, errs[name])
			continue
		}
		fmt.Fprintf(&report, "%s\n\t%v\n", name, errs[name])
	}
	tasktest.Golden(t, "invalid.txt", report.String())
	if n := len(redistest.Keys(t, rdb, "*")); n != 0 {
		t.Errorf("what was refused left %d keys", n)
	}
}
