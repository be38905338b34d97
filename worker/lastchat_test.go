package worker_test

import (
	"testing"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestLastChat wants the record of a question that failed to name its last chat and the
// conversation of that, though the next ask would have been in another one: it is what
// Coze's support wants to know.
func TestLastChat(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		faults := map[string]cozetest.Fault{
			"fails, and so does the last ask": {Kind: cozetest.Fail, Code: 5000},
			"wants a tool":                    {Kind: cozetest.Action},
			"says nothing":                    {Empty: true},
			"is refused for what it says":     {Kind: cozetest.Fail, Code: 4010},
		}
		var rules []cozetest.Rule
		asked := make(map[string]string)
		for question, fault := range faults {
			rules = append(rules, cozetest.Rule{Contains: question, Fault: fault})
			attempts := 2
			if fault.Empty {
				attempts = 1 // its answer is waited for, each time
			}
			asked[question] = l.enqueue(tasks.Ask("bot", question), tasks.Options{Attempts: attempts})
		}
		l.rules(rules...)
		l.work()
		for question, id := range asked {
			r := l.wait(id)
			if r.Status != results.Failed || r.ChatID == "" || r.ConversationID == "" {
				t.Errorf("%s: %+v", question, r)
				continue
			}
			client := &coze.Client{BaseURL: l.fake.URL, Auth: coze.StaticToken("token")}
			if _, err := client.RetrieveChat(t.Context(), r.ConversationID, r.ChatID); err != nil {
				t.Errorf("%s: chat %s is not of conversation %s: %v", question, r.ChatID, r.ConversationID, err)
			}
		}
	})
}
