package batchfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestResponses: the record of a row of OpenAI's shape is a line of its output, too, from a run and from a batch.
func TestResponses(t *testing.T) {
	t.Parallel()
	const content = `{"custom_id":"chat","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"1 < 2?"}]}}
{"custom_id":"response","url":"/v1/responses","body":{"model":"gpt","input":"two"}}
{"custom_id":"failed","url":"/v1/responses","body":{"input":"bad"}}
{"custom_id":"ours","question":"three"}
`
	const usage = `"usage":{"completion_tokens":3,"prompt_tokens":2,"total_tokens":5}}`
	want := []string{
		`{"status_code":200,"request_id":"ID","body":{"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"re: 1 < 2?","refusal":null,"role":"assistant"}}],` +
			`"created":AT,"id":"chatcmpl-ID","model":"m","object":"chat.completion",` + usage,
		`{"status_code":200,"request_id":"ID","body":{"created_at":AT,"error":null,"id":"resp_ID","incomplete_details":null,"instructions":null,"metadata":{},"model":"gpt","object":"response",` +
			`"output":[{"content":[{"annotations":[],"text":"re: two","type":"output_text"}],"id":"msg_ID","role":"assistant","status":"completed","type":"message"}],` +
			`"parallel_tool_calls":false,"status":"completed","temperature":null,"tool_choice":"none","tools":[],"top_p":null,` +
			`"usage":{"input_tokens":2,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}}`,
		`{"status_code":400,"request_id":"ID","body":{"error":{"code":"coze_4000","message":"no answer to bad","param":null,"type":"invalid_request_error"}}`,
		"",
	}
	check := func(who, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s: %s", who, text)
		}
		for i, line := range lines {
			var record struct {
				ID          string          `json:"id"`
				CustomID    string          `json:"custom_id"`
				Status      string          `json:"status"`
				CompletedAt time.Time       `json:"completed_at"`
				Error       json.RawMessage `json:"error"`
				Response    json.RawMessage `json:"response"`
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatalf("%s: %v in %s", who, err, line)
			}
			got := strings.ReplaceAll(string(record.Response), record.ID, "ID")
			got = strings.Replace(got, fmt.Sprint(record.CompletedAt.Unix()), "AT", 1)
			if w := want[i]; got != w+"}" && w != "" || got != w && w == "" {
				t.Errorf("%s: %s has the response\n%s\nwant\n%s", who, record.CustomID, got, w)
			}
			if null := string(record.Error) == "null"; null != (i < 2) {
				t.Errorf("%s: %s has the error %s", who, record.CustomID, record.Error)
			}
		}
	}
	fails := func(q string) bool { return q == "bad" }
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	l.Fails = fails
	output := filepath.Join(t.TempDir(), "a.jsonl")
	for _, again := range []bool{false, true} { // the record is read back, and written anew
		job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), output)
		job.RetryFailed = again
		if _, err := job.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("run", output)
	}
	l, _ = filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	l.Fails = fails
	d := submit(t, l, filetest.Open(t, "q.jsonl", content, input.Options{}))
	ended(t, d)
	path, _ := write(t, d, "a.jsonl")
	check("batch", path)
}
