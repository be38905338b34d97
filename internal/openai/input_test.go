package openai_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

type inputList struct {
	Object string
	Data   []struct {
		ID, Type, Role, Status string
		Content                []map[string]any
	}
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore *bool   `json:"has_more"`
}

func TestInputItems(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		first := s.call("POST", responsesAPI, `{"model":"support","input":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},
			{"role":"user","content":[{"type":"input_text","text":"three"},{"type":"input_image","image_url":"https://example.com/a.png"},{"type":"input_file","file_url":"https://example.com/b.pdf"}]}]}`)
		path := responsesAPI + "/" + first.object(t)["id"].(string) + "/input_items"
		list := func(query string) (l inputList) {
			t.Helper()
			r := s.call("GET", path+query, "")
			if err := json.Unmarshal([]byte(r.body), &l); err != nil || r.status != 200 || l.Object != "list" || l.FirstID == nil || l.LastID == nil || l.HasMore == nil {
				t.Fatalf("%s: %d %s, %v", query, r.status, r.body, err)
			}
			return l
		}
		all := list("")
		if len(all.Data) != 3 || *all.HasMore || *all.FirstID != all.Data[0].ID || *all.LastID != all.Data[2].ID {
			t.Fatalf("%+v", all)
		}
		newest, answer := all.Data[0], all.Data[1]
		if newest.Type != "message" || newest.Role != "user" || newest.Status != "completed" || len(newest.Content) != 3 || newest.Content[0]["text"] != "three" ||
			newest.Content[1]["image_url"] != "https://example.com/a.png" || newest.Content[1]["detail"] != "auto" || newest.Content[2]["file_url"] != "https://example.com/b.pdf" {
			t.Errorf("%+v", newest)
		}
		if answer.Role != "assistant" || answer.Content[0]["type"] != "output_text" || answer.Content[0]["text"] != "two" {
			t.Errorf("%+v", answer)
		}
		page := list("?order=asc&limit=2")
		next := list("?order=asc&limit=2&after=" + *page.LastID)
		if len(page.Data) != 2 || !*page.HasMore || page.Data[0].Content[0]["text"] != "one" || len(next.Data) != 1 || *next.HasMore || next.Data[0].ID != newest.ID {
			t.Errorf("%+v\n%+v", page, next)
		}
		for query, param := range map[string]string{"?limit=0": "limit", "?limit=101": "limit", "?order=up": "order", "?after=x": "after"} {
			if r := s.call("GET", path+query, ""); r.status != 400 || text(r.failure(t).Param) != param {
				t.Errorf("%s: %d %s", query, r.status, r.body)
			}
		}
		long := s.call("POST", responsesAPI, respond(strings.Repeat("long ", 20_000))).object(t)["id"].(string)
		if r := s.call("GET", responsesAPI+"/"+long+"/input_items", ""); r.status != 404 || text(r.failure(t).Code) != "input_not_kept" {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}

// With keys the input is encrypted, as the question itself is.
func TestInputIsSealed(t *testing.T) {
	s := embedded(t, options{})
	if _, err := (asynqx.QueuePauses{Redis: s.redis}).OperatorPause(t.Context(), tasks.QueueDefault); err != nil { // the worker has no keys
		t.Fatal(err)
	}
	keys, err := results.ParseKeys([]byte("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
	if err != nil {
		t.Fatal(err)
	}
	store := results.NewStore(s.redis)
	defer store.Close()
	store.Keys = keys
	s.tasks = tasks.NewClient(store)
	_, s.url = s.serve(options{})
	id := s.call("POST", responsesAPI, respond("nobody may read this", `"background":true`)).object(t)["id"].(string)
	note, err := s.redis.Get(t.Context(), "cozeq:response:{"+strings.TrimPrefix(id, "resp_")+"}").Result()
	if err != nil || strings.Contains(note, "nobody") {
		t.Errorf("%s, %v", note, err)
	}
	if r := s.call("GET", responsesAPI+"/"+id+"/input_items", ""); !strings.Contains(r.body, "nobody may read this") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A program that keeps its turns itself sends the items of a response again, its reasoning as well.
func TestOutputAsInput(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	output, err := json.Marshal(s.call("POST", responsesAPI, respond("[[mock:reasoning]] one")).object(t)["output"])
	if err != nil || !strings.Contains(string(output), `"reasoning_text"`) {
		t.Fatalf("%s, %v", output, err)
	}
	r := s.call("POST", responsesAPI, `{"model":"support","input":`+strings.TrimSuffix(string(output), "]")+`,{"role":"user","content":"two"}]}`)
	if r.status != 200 || !strings.Contains(r.body, "You said: two") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
