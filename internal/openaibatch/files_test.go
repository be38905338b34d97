package openaibatch_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

// Two processes on one Redis see the same files.
func TestFiles(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newSite(t, rdb)
		other := s.serve(redistest.Hooked(t, rdb, nil2{}))
		text := ask("a", strings.Repeat("长", 100_000)) + ask("b", "y")
		made := s.uploadTo(other, "", "问题.jsonl", text, "batch", 200)
		f := s.get("", "/v1/files/"+made.text("id"), 200)
		if fmt.Sprint(f) != fmt.Sprint(made) || f.text("filename") != "问题.jsonl" || f["bytes"] != float64(len(text)) || f.text("object") != "file" || f.text("purpose") != "batch" || f.text("status") != "processed" {
			t.Errorf("got %v, made %v", f, made)
		}
		if got := s.send("", http.MethodGet, "/v1/files/"+f.text("id")+"/content", "", nil, 200); got != text {
			t.Errorf("the content has %d bytes, want %d", len(got), len(text))
		}
		part := s.send("", http.MethodGet, "/v1/files/"+f.text("id")+"/content", "", nil, 206, func(r *http.Request) { r.Header.Set("Range", "bytes=10-19") })
		if part != text[10:20] {
			t.Errorf("a range is %q", part)
		}
		s.uploadTo(s.url, "", "a.png", "\x89PNG", "vision", 200)
		if all := s.get("", "/v1/files", 200); len(all["data"].([]any)) != 2 || all["has_more"] != false {
			t.Errorf("got %v", all)
		}
		page := s.get("", "/v1/files?limit=1&order=asc", 200)
		if page.text("last_id") != f.text("id") || page["has_more"] != true {
			t.Errorf("got %v", page)
		}
		if got := s.get("", "/v1/files?purpose=vision&after="+f.text("id")+"&order=asc", 200); len(got["data"].([]any)) != 1 {
			t.Errorf("got %v", got)
		}
		deleted := s.parse(s.send("", http.MethodDelete, "/v1/files/"+f.text("id"), "", nil, 200))
		if deleted["deleted"] != true {
			t.Errorf("got %v", deleted)
		}
		s.send("", http.MethodDelete, other+"/v1/files/"+f.text("id"), "", nil, 404)
		s.get("", "/v1/files/"+f.text("id"), 404)
		s.get("", "/v1/files/"+f.text("id")+"/content", 404)
	})
}

// nil2 is a hook that does nothing.
type nil2 struct{}

func (nil2) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (nil2) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (nil2) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A file that is wrong is refused with its lines, and nothing of it reaches Redis.
func TestBadFiles(t *testing.T) {
	s := newSite(t, redistest.Embedded(t))
	got := s.upload("", ask("a", "x")+"{\n"+ask("a", "y")+strings.Replace(ask("s", "x"), `"model"`, `"stream":true,"model"`, 1)+
		strings.Replace(ask("m", "x"), "support", "nobody", 1)+strings.Replace(ask("n", "x"), `"model"`, `"tools":[{"type":"function"}],"model"`, 1), 400)
	message := got.problem()
	for _, want := range []string{
		"5 problems", "line 2: bad JSON at byte", `line 3: custom_id "a" is repeated`, "line 4: body.stream: true", "line 5: body: model: ", "line 6: body: tools: ",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("no %q in %s", want, message)
		}
	}
	e := got["error"].(map[string]any)
	data := e["errors"].(map[string]any)["data"].([]any)
	if len(data) != 5 || data[1].(map[string]any)["line"] != 3.0 || e["code"] != "invalid_batch_file" || e["param"] != "file" {
		t.Errorf("got %v", e)
	}
	for _, c := range []struct{ name, content, purpose, want string }{
		{"in.jsonl", "", "batch", "there is no question in it"},
		{"in.jsonl", "\x1f\x8bxx", "batch", "upload it unpacked"},
		{"in.jsonl", ask("a", "x"), "fine-tune", "want one of batch"},
		{"in.jsonl", ask("a", "x"), "", "missing: want one of batch"},
		{"in.jsonl", "PK\x03\x04", "batch", "zip archive"},
	} {
		if got := s.uploadTo(s.url, "", c.name, c.content, c.purpose, 400); !strings.Contains(got.problem(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
	s.post("", "/v1/files", "{}", 400)
	s.get("", "/v1/files?limit=0", 400)
	s.get("", "/v1/files?order=up", 400)
	if keys := redistest.Keys(t, s.redis, "*"); len(keys) > 0 {
		t.Errorf("something was kept: %v", keys)
	}
}

// The files of a key take so much room and no more, until one is deleted.
func TestFilesAreFull(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newSite(t, rdb)
		first := s.uploadTo(s.url, "acme", "a.bin", strings.Repeat("a", 3_000_000), "user_data", 200)
		refused := s.uploadTo(s.url, "acme", "b.bin", strings.Repeat("b", 3_000_000), "user_data", 413)
		if code := refused["error"].(map[string]any)["code"]; code != "storage_full" || !strings.Contains(refused.problem(), "the 1 files of this key take 3 MB") {
			t.Errorf("%v", refused)
		}
		s.uploadTo(s.url, "other", "b.bin", strings.Repeat("b", 3_000_000), "user_data", 200)
		s.send("acme", http.MethodDelete, "/v1/files/"+first.text("id"), "", nil, 200)
		s.uploadTo(s.url, "acme", "b.bin", strings.Repeat("b", 3_000_000), "user_data", 200)
	})
}
