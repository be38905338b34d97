package openaibatch_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/workertest"
)

// What a filter has refused is in the file of errors, although an answer that it cut short would be in the other one.
func TestFilteredLine(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	workertest.Start(s.t, s.redis, s.mock.Client())
	b := s.finish("", s.make("", ask("a", "[[mock:code=4014]]")).text("id"))
	if counts := fmt.Sprint(b["request_counts"]); counts != "map[completed:0 failed:1 total:1]" {
		t.Errorf("counts %s", counts)
	}
	if bad := s.lines("", b.text("error_file_id")); len(bad) != 1 || bad[0].text("custom_id") != "a" {
		t.Errorf("errors: %v", bad)
	}
}

// A batch from its file to its answers, line by line, in the order of the input.
func TestBatch(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newSite(t, rdb)
		workertest.Start(s.t, s.redis, s.mock.Client())
		lines := ask("a", "one < two & 三") + ask("bad", "[[mock:code=4000]]") + ask("b", "two")
		b := s.make("", lines)
		if b.text("status") != "in_progress" || b["errors"] != nil || b["output_file_id"] != nil || b["error_file_id"] != nil {
			t.Errorf("made as %v", b)
		}
		b = s.finish("", b.text("id"))
		counts := fmt.Sprint(b["request_counts"])
		if b.text("status") != "completed" || counts != "map[completed:2 failed:1 total:3]" || b["completed_at"] == nil || b["cozeq"] != nil {
			t.Errorf("ended as %v", b)
		}
		good, bad := s.lines("", b.text("output_file_id")), s.lines("", b.text("error_file_id"))
		if len(good) != 2 || good[0].text("custom_id") != "a" || good[1].text("custom_id") != "b" || len(bad) != 1 || bad[0].text("custom_id") != "bad" {
			t.Fatalf("good: %v\nbad: %v", good, bad)
		}
		var line struct {
			ID, CustomID string
			Response     struct {
				StatusCode int    `json:"status_code"`
				RequestID  string `json:"request_id"`
				Body       struct {
					Object  string
					Model   string
					Choices []struct {
						Message struct{ Role, Content string }
						Finish  string `json:"finish_reason"`
					}
					Usage map[string]int
				}
			}
			Error any
		}
		text, _ := json.Marshal(good[0])
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		body := line.Response.Body
		if line.Response.StatusCode != 200 || line.Error != nil || body.Object != "chat.completion" || body.Model != "support" ||
			len(body.Choices) != 1 || body.Choices[0].Message.Role != "assistant" || !strings.Contains(body.Choices[0].Message.Content, "one < two & 三") ||
			body.Choices[0].Finish != "stop" || body.Usage["total_tokens"] == 0 {
			t.Errorf("got %s", text)
		}
		refused := fmt.Sprint(bad[0]["response"])
		if bad[0]["error"] != nil || !strings.Contains(refused, "status_code:400") || !strings.Contains(refused, "coze_4000") {
			t.Errorf("got %v", bad[0])
		}
		// The files of answers tell their size without being files.
		for _, name := range []string{"output_file_id", "error_file_id"} {
			f := s.get("", "/v1/files/"+b.text(name), 200)
			content := s.send("", http.MethodGet, "/v1/files/"+b.text(name)+"/content", "", nil, 200)
			if f["bytes"] != float64(len(content)) || f.text("purpose") != "batch_output" || f.text("status") != "processed" {
				t.Errorf("%s: %v, %d bytes", name, f, len(content))
			}
			s.send("", http.MethodDelete, "/v1/files/"+b.text(name), "", nil, 400)
		}
		if n := s.mock.ByQuestion("two"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if again := s.post("", "/v1/batches", creation(b.text("input_file_id")), 200); again.text("id") != b.text("id") {
			t.Errorf("the same request made %v", again)
		}
		if again := s.post("", "/v1/batches/"+b.text("id")+"/cancel", "", 409); !strings.Contains(again.problem(), "has ended as completed") {
			t.Errorf("cancel: %v", again)
		}
	})
}

func TestResponsesBatch(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	workertest.Start(s.t, s.redis, s.mock.Client())
	line := `{"custom_id":"r","method":"POST","url":"/v1/responses","body":{"model":"bot-` + bot + `","input":"hello","metadata":{"k":"v"}}}` + "\n"
	file := s.upload("", line, 200).text("id")
	wrong := s.post("", "/v1/batches", creation(file), 400)
	if !strings.Contains(wrong.problem(), `line 1: url: "/v1/responses", and the batch is for /v1/chat/completions`) {
		t.Errorf("another endpoint: %v", wrong)
	}
	b := s.post("", "/v1/batches", `{"input_file_id":"`+file+`","endpoint":"/v1/responses","completion_window":"1h","metadata":{"run":"night"}}`, 200)
	b = s.finish("", b.text("id"))
	if fmt.Sprint(b["metadata"]) != "map[run:night]" || b.text("completion_window") != "1h" || b.text("endpoint") != "/v1/responses" {
		t.Errorf("got %v", b)
	}
	got := fmt.Sprint(s.lines("", b.text("output_file_id")))
	for _, want := range []string{"object:response", "output_text", "metadata:map[k:v]", "status:completed"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// What was not asked has an error and no response. The batch says how it ended.
func TestCancel(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newSite(t, rdb) // nobody works
		b := s.make("", ask("a", "x")+ask("b", "y"))
		extension, _ := b["cozeq"].(map[string]any)
		if extension["waiting"] != 2.0 || extension["running"] != 0.0 {
			t.Errorf("where they are: %v", b["cozeq"])
		}
		got := s.post("", "/v1/batches/"+b.text("id")+"/cancel", "", 200)
		if got.text("status") != "cancelled" || got["cancelled_at"] == nil || got["cancelling_at"] == nil || got["output_file_id"] != nil {
			t.Errorf("got %v", got)
		}
		lines := s.lines("", got.text("error_file_id"))
		if len(lines) != 2 || lines[0]["response"] != nil || !strings.Contains(fmt.Sprint(lines[0]["error"]), "batch_cancelled") {
			t.Errorf("got %v", lines)
		}
		next := s.post("", "/v1/batches", creation(b.text("input_file_id")), 200)
		if next.text("id") == b.text("id") || next.text("status") != "in_progress" {
			t.Errorf("made of a cancelled one's file: %v", next)
		}
	})
}

func TestExpired(t *testing.T) {
	s := newSite(t, redistest.Embedded(t)) // nobody works, so nobody ends the lines
	b := s.make("", ask("a", "x"))
	if err := s.redis.HSet(t.Context(), "cozeq:batch:{"+b.text("id")+"}", "expires_at", "2026-01-02T03:04:05.000Z").Err(); err != nil {
		t.Fatal(err)
	}
	got := s.get("", "/v1/batches/"+b.text("id"), 200)
	if got.text("status") != "expired" || got["expired_at"] == nil || fmt.Sprint(got["request_counts"]) != "map[completed:0 failed:1 total:1]" {
		t.Errorf("got %v", got)
	}
	lines := s.lines("", got.text("error_file_id"))
	if len(lines) != 1 || lines[0]["response"] != nil || !strings.Contains(fmt.Sprint(lines[0]["error"]), "batch_expired") {
		t.Errorf("got %v", lines)
	}
}

// A key sees its own batches alone, also where it knows their ids.
func TestTenants(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	var mine []string
	for i := range 3 {
		mine = append([]string{s.make("shop", ask("a", fmt.Sprint(i))).text("id")}, mine...)
	}
	theirs := s.make("other", ask("a", "0"))
	for _, path := range []string{"/v1/batches/" + mine[0], "/v1/files/" + s.get("shop", "/v1/batches/"+mine[0], 200).text("input_file_id")} {
		s.get("other", path, 404)
	}
	s.post("other", "/v1/batches/"+mine[0]+"/cancel", "", 404)
	s.post("shop", "/v1/batches", creation(theirs.text("input_file_id")), 404)
	page := s.get("shop", "/v1/batches?limit=2", 200)
	ids := func(o object) (all []string) {
		for _, b := range o["data"].([]any) {
			all = append(all, object(b.(map[string]any)).text("id"))
		}
		return all
	}
	seen := map[string]bool{}
	for _, id := range ids(page) {
		seen[id] = true
	}
	if len(seen) != 2 || page["has_more"] != true || page.text("last_id") == "" {
		t.Errorf("got %v", page)
	}
	page = s.get("shop", "/v1/batches?limit=2&after="+page.text("last_id"), 200)
	for _, id := range ids(page) {
		seen[id] = true
	}
	if len(seen) != 3 || page["has_more"] != false || seen[theirs.text("id")] {
		t.Errorf("got %v", page)
	}
	s.get("shop", "/v1/batches?after="+theirs.text("id"), 404)
	if r, err := s.redis.HGet(t.Context(), "cozeq:result:{"+mine[0]+"-1}", "tenant").Result(); err != nil || r != "shop" {
		t.Errorf("the task's tenant: %q, %v", r, err)
	}
	wrong := s.upload("narrow", ask("a", "x"), 400)
	if !strings.Contains(wrong.problem(), `line 1: body: model: the model "support" does not exist, or this key may not use it`) {
		t.Errorf("a bot that is not the key's: %v", wrong)
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	file := s.upload("", ask("a", "x"), 200).text("id")
	key := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Idempotency-Key", text) }
	}
	first := s.post("", "/v1/batches", creation(file), 200, key("1"))
	second := s.post("", "/v1/batches", creation(file), 200, key("2"))
	again := s.post("", "/v1/batches", creation(file), 200, key("1"))
	if first.text("id") == second.text("id") || first.text("id") != again.text("id") {
		t.Errorf("%s, %s, %s", first.text("id"), second.text("id"), again.text("id"))
	}
	other := strings.Replace(creation(file), "24h", "23h", 1)
	s.post("", "/v1/batches", other, 422, key("1"))
}

func TestBadRequests(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	file := s.upload("", ask("a", "x"), 200).text("id")
	vision := s.uploadTo(s.url, "", "a.png", "x", "vision", 200).text("id")
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{`, 400, "no JSON"},
		{`[]`, 400, "no JSON"},
		{`{"endpoint":"/v1/chat/completions"}`, 400, "missing: upload a file"},
		{`{"input_file_id":1}`, 400, "not of the type"},
		{strings.Replace(creation(file), "/v1/chat/completions", "/v1/embeddings", 1), 400, "want /v1/chat/completions or /v1/responses"},
		{strings.Replace(creation(file), "24h", "soon", 1), 400, "want 24h"},
		{strings.Replace(creation(file), "24h", "90d", 1), 400, "want 24h"},
		{strings.Replace(creation(file), `"completion_window"`, `"completion_windows"`, 1), 400, "did you mean completion_window?"},
		{strings.Replace(creation(file), `{`, `{"metadata":{"k":"`+strings.Repeat("x", 513)+`"},`, 1), 400, "a value 512"},
		{strings.Replace(creation(file), `{`, `{"output_expires_after":{"anchor":"created_at","seconds":1},`, 1), 400, "want 3600"},
		{creation(vision), 400, "has purpose vision"},
		{creation("file-" + strings.Repeat("0", 32)), 404, "no such file"},
	} {
		if got := s.post("", "/v1/batches", c.body, c.status); !strings.Contains(got.problem(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.body, got, c.want)
		}
	}
	s.get("", "/v1/batches/nothing", 404)
	s.get("", "/v1/batches/..%2f", 404)
	s.get("", "/v1/batches?limit=101", 400)
	if keys := redistest.Keys(t, s.redis, "cozeq:batch*"); len(keys) > 0 {
		t.Errorf("something was made: %v", keys)
	}
}

// A process dies at each of its calls to Redis while it makes a batch of two chunks. The same request, from another process,
// completes it, and no line is in the queue twice.
func TestCreateDies(t *testing.T) {
	patient := redisretry.Policy
	redisretry.Policy = backoff.Policy{First: time.Millisecond, Most: time.Millisecond, For: time.Millisecond} // the dead do not wait
	t.Cleanup(func() { redisretry.Policy = patient })
	var lines strings.Builder
	for i := range 260 {
		lines.WriteString(ask(fmt.Sprint(i), fmt.Sprint("question ", i)))
	}
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		s := newSite(t, l.Redis)
		file := s.upload("shop", lines.String(), 200).text("id")
		hit, _ := tasktest.FaultyOn(t, l.Redis, n, what, func(rdb redis.UniversalClient) error {
			h, stop := s.handler(rdb)
			defer stop()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/batches", strings.NewReader(creation(file)))
			mux := http.NewServeMux()
			h.Register(mux)
			mux.ServeHTTP(httptest.NewRecorder(), req.WithContext(apikey.NewContext(t.Context(), &apikey.Key{Name: "shop"})))
			return nil
		})
		if !hit {
			return false
		}
		before := s.get("shop", "/v1/batches", 200)["data"].([]any)
		b := s.post("shop", "/v1/batches", creation(file), 200)
		if b.text("status") != "in_progress" {
			t.Errorf("completed as %v", b)
		}
		all := s.get("shop", "/v1/batches", 200)["data"].([]any)
		if len(all) != 1 || len(before) > 1 {
			t.Errorf("%d batches, %d before", len(all), len(before))
		}
		if len(before) == 1 {
			first := object(before[0].(map[string]any))
			if status := first.text("status"); status != "validating" && status != "in_progress" || first.text("id") != b.text("id") {
				t.Errorf("before: %v", first)
			}
		}
		if queued := redistest.Keys(t, l.Redis, "asynq:{default}:t:*"); len(queued) != 260 {
			t.Errorf("%d lines are in the queue", len(queued))
		}
		return true
	})
}
