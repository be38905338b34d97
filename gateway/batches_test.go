package gateway_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/parquet"
)

const questionsCSV = "custom_id,question\na,why?\nb,[[mock:ask_back]] how?\nc,[[mock:fault=fail code=4014]] no\n"

// batch waits until a batch has ended, and returns it.
func (s *site) batch(id string, headers ...string) map[string]any {
	s.t.Helper()
	for {
		b := s.call("GET", "/api/v1/batches/"+id, "", headers...).decode(s.t)
		if b["state"] == "done" || b["state"] == "canceled" {
			return b
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatalf("%v", b)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func columnNames(r *parquet.Reader) (names []string) {
	for _, c := range r.Columns {
		names = append(names, c.Name)
	}
	return names
}

// A file is submitted once, and its records come in its order and in other formats.
func TestBatch(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		a := s.call("POST", "/api/v1/batches?name=q.csv", questionsCSV, "Content-Type: text/csv")
		id, _ := a.decode(t)["id"].(string)
		if a.status != 202 || id == "" || a.header.Get("Location") != "/api/v1/batches/"+id {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if again := s.call("POST", "/api/v1/batches?name=q.csv", questionsCSV, "Content-Type: text/csv"); again.status != 200 || again.decode(t)["id"] != id {
			t.Errorf("again: %d %s", again.status, again.body)
		}
		b := s.batch(id)
		counts, _ := b["counts"].(map[string]any)
		if counts["completed"] != 2.0 || counts["failed"] != 1.0 {
			t.Errorf("%v", b)
		}
		a = s.call("GET", "/api/v1/batches/"+id+"/results", "", "Accept: text/csv")
		if rows := strings.Split(strings.TrimSpace(a.body), "\n"); a.status != 200 || len(rows) != 4 || !strings.HasPrefix(rows[1], "a,why?,") || !strings.Contains(rows[3], "4014") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if fields := strings.Split(a.body, "\n")[2]; !strings.Contains(fields, "?,") || !strings.HasSuffix(fields, ",") {
			t.Errorf("the one that asks back: %s", fields)
		}
		a = s.call("GET", "/api/v1/batches/"+id+"/results?format=parquet", "")
		if file, err := parquet.NewReader(strings.NewReader(a.body), int64(len(a.body))); err != nil || a.header.Get("Content-Type") != "application/vnd.apache.parquet" {
			t.Errorf("%d %s: %v", a.status, a.header, err)
		} else {
			for row, err := range file.Rows() {
				if asks := row[slices.Index(columnNames(file), "asks_back")]; err != nil || (asks != "") != (row[0] == "b") {
					t.Errorf("%q, %v", row, err)
				}
			}
		}
		a = s.call("GET", "/api/v1/batches/"+id+"/results?format=jsonl", "")
		var record struct {
			CustomID string `json:"custom_id"`
			Status   string
		}
		if err := json.Unmarshal([]byte(strings.SplitN(a.body, "\n", 2)[0]), &record); err != nil || record.CustomID != "a" || record.Status != "completed" {
			t.Errorf("%s: %v", a.body, err)
		}
		if a := s.call("GET", "/api/v1/batches", ""); !strings.Contains(a.body, id) {
			t.Errorf("%s", a.body)
		}
		if a := s.call("POST", "/api/v1/batches/"+id+"/retry", ""); a.status != 200 || a.decode(t)["asked_again"] != 1.0 {
			t.Errorf("%d %s", a.status, a.body)
		}
		s.batch(id)
		if n := s.mock.Accepted(); n != 4 {
			t.Errorf("%d chats, want 4: three questions, one of them twice", n)
		}
		if a := s.call("POST", "/api/v1/batches/"+id+"/cancel", ""); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// Nothing of a bad file is asked, and the answer names every line.
func TestBadBatch(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		for _, tt := range []struct {
			path, body, media string
			status            int
			want              []string
		}{
			{"", "custom_id,question\na,x\na,y\nb,\n", "text/csv", 422, []string{`"location":"line 3"`, `"location":"line 4"`}},
			{"", "question\nx\n", "application/octet-stream", 415, []string{"format="}},
			{"?webhook=http://10.0.0.1/x", "question\nx\n", "text/csv", 422, []string{"webhook"}},
			{"?qestion_col=x", "question\nx\n", "text/csv", 422, []string{"unknown parameter", "question_col"}},
			{"?format=pdf", "question\nx\n", "text/csv", 422, []string{"format takes"}},
			{"?question_col=q", "question\nx\n", "text/csv", 422, []string{"question_col"}},
			{"", "question\n\xff\n", "text/csv", 422, []string{"with encoding"}},
			{"?keep=soon", "question\nx\n", "text/csv", 422, []string{"keep"}},
			{"?queue=Q!", "question\nx\n", "text/csv", 422, []string{"queue"}},
			{"", "", "text/csv", 422, nil},
		} {
			a := s.call("POST", "/api/v1/batches"+tt.path, tt.body, "Content-Type: "+tt.media)
			if a.status != tt.status || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %q: %d %s, want %d", tt.path, tt.body, a.status, a.body, tt.status)
			}
			if strings.Contains(a.body, "--") {
				t.Errorf("%s names a flag: %s", tt.path, a.body)
			}
			for _, want := range tt.want {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s %q: %s, want %s", tt.path, tt.body, a.body, want)
				}
			}
		}
		if n := s.mock.Accepted(); n != 0 {
			t.Errorf("%d chats", n)
		}
	})
}

func TestBatchOfAnotherKey(t *testing.T) {
	file := keysFile(t, map[string]string{"shop": `, "bots": ["7461001"]`, "desk": ""})
	each(t, gateway.Config{KeysFile: file}, func(t *testing.T, s *site) {
		const media = "Content-Type: text/csv"
		a := s.call("POST", "/api/v1/batches", questionsCSV, media, bearer("shop"))
		id, _ := a.decode(t)["id"].(string)
		if a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if b := s.call("POST", "/api/v1/batches", questionsCSV, media, bearer("desk")); b.status != 202 || b.decode(t)["id"] == id {
			t.Errorf("the same file of another key: %d %s", b.status, b.body)
		}
		for _, call := range []string{"GET ", "GET /results", "POST /cancel", "POST /retry"} {
			method, path, _ := strings.Cut(call, " ")
			if a := s.call(method, "/api/v1/batches/"+id+path, "", bearer("desk")); a.status != 404 {
				t.Errorf("%s: %d %s", call, a.status, a.body)
			}
		}
		if a := s.call("POST", "/api/v1/batches", "question,bot_id\nx,7461002\n", media, bearer("shop")); a.status != 422 || !strings.Contains(a.body, "7461002") {
			t.Errorf("a bot that the key may not ask: %d %s", a.status, a.body)
		}
		s.batch(id, bearer("shop"))
	})
}

// A file of runs has a column for each field of the outputs, and a question to a chatflow is a task like others.
func TestWorkflowOverHTTP(t *testing.T) {
	each(t, gateway.Config{}, func(t *testing.T, s *site) {
		a := s.call("POST", "/api/v1/batches?workflow=736&param=town=city", "city\nBerlin\nParis\n", "Content-Type: text/csv")
		id, _ := a.decode(t)["id"].(string)
		if a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.batch(id)
		if a = s.call("GET", "/api/v1/batches/"+id+"/results?format=csv", ""); !strings.HasPrefix(a.body, "city,output.output,output.town,answer,") || !strings.Contains(a.body, ",Paris,") {
			t.Errorf("%d %s", a.status, a.body)
		}
		a = s.call("POST", "/api/v1/batches?workflow=736&chatflow=737", "city\nBerlin\n", "Content-Type: text/csv")
		if a.status != 422 || !strings.Contains(a.body, "workflow and chatflow: choose one") || strings.Contains(a.body, "--") {
			t.Errorf("%d %s", a.status, a.body)
		}
		a = s.call("POST", "/api/v1/tasks", `{"workflow_id":"737","app_id":"8","question":"Why?","parameters":{"days":3}}`, "Prefer: wait=30")
		if r := a.decode(t); a.status != 200 || r["status"] != "completed" || r["workflow_id"] != "737" || r["bot_id"] != nil {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
