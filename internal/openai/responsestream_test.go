package openai_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

type responseEvent struct {
	Type     string
	Number   int `json:"sequence_number"`
	Output   int `json:"output_index"`
	Delta    string
	Response struct {
		ID     string
		Output []map[string]any
	}
}

func responseEvents(t *testing.T, r reply) (events []responseEvent) {
	t.Helper()
	for _, frame := range frames(r.body) {
		var e responseEvent
		if err := json.Unmarshal([]byte(frame), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return events
}

// An event has the same number for whoever reads it, and a reader may begin behind any.
func TestResponseStream(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	first := s.call("POST", responsesAPI, respond("长一点 longer [[mock:pace=100ms reasoning]]", `"stream":true`, `"background":true`))
	all := responseEvents(t, first)
	numbers := map[int]bool{}
	order, texts := "", [2]string{}
	for _, e := range all {
		numbers[e.Number] = true
		if texts[e.Output] += e.Delta; e.Delta == "" {
			order += strings.TrimPrefix(e.Type, "response.") + " "
		}
	}
	const want = "created queued in_progress output_item.added content_part.added reasoning_text.done content_part.done output_item.done " +
		"output_item.added content_part.added output_text.done content_part.done output_item.done completed "
	if order != want || len(numbers) != len(all) || texts[0] != "The question is: 长一点 longer" || texts[1] != "You said: 长一点 longer" {
		t.Errorf("%q\n%s", texts, first.body)
	}
	last := all[len(all)-1]
	path := responsesAPI + "/" + last.Response.ID
	var whole struct{ Output []map[string]any }
	if err := json.Unmarshal([]byte(s.call("GET", path, "").body), &whole); err != nil || !reflect.DeepEqual(whole.Output, last.Response.Output) {
		t.Errorf("the stream ends with %v, want %v, %v", last.Response.Output, whole.Output, err)
	}
	for after := range last.Number {
		var rest [2]string
		events := responseEvents(t, s.call("GET", fmt.Sprintf("%s?stream=true&starting_after=%d", path, after), ""))
		for _, e := range events {
			if e.Number <= after {
				t.Fatalf("after %d: %+v", after, e)
			}
			rest[e.Output] += e.Delta
		}
		if !strings.HasSuffix(texts[0], rest[0]) || !strings.HasSuffix(texts[1], rest[1]) || events[len(events)-1].Type != "response.completed" {
			t.Errorf("after %d: %q", after, rest)
		}
	}
}
