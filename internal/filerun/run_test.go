package filerun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

func TestFormats(t *testing.T) {
	tests := []struct{ name, file, content, output, want string }{
		{"csv to csv", "q.csv", "\ufeffid,question,conversation_key\n=1+1,=cmd(),\n-5,two,k\n", "a.csv",
			"\ufeffid,question,conversation_key,answer,status,error_code,error_msg,token_count,conversation_id,chat_id,asks_back,possible_duplicate\n" +
				"'=1+1,'=cmd(),,re: =cmd(),completed,,,5,own RUN-1,chat of =cmd(),,\n" +
				"-5,two,k,re: two,completed,,,5,of RUN-2,chat of two,,\n"},
		{"txt to tsv", "q.txt", "one\nbad, or not\n", "a.tsv",
			"custom_id\tquestion\tanswer\tstatus\terror_code\terror_msg\ttoken_count\tconversation_id\tchat_id\tasks_back\tpossible_duplicate\n" +
				"1\tone\tre: one\tcompleted\t\t\t5\town RUN-1\tchat of one\t\t\n" +
				"2\tbad, or not\t\tfailed\t4000\tno answer to bad, or not\t5\town RUN-2\tchat of bad, or not\t\t\n"},
		{"jsonl to jsonl", "q.jsonl", `{"custom_id":"x","question":"1 < 2?"}`, "a.jsonl",
			`{"id":"RUN-1","custom_id":"x","status":"completed","answer":"re: 1 < 2?",` +
				`"usage":{"token_count":5,"output_count":3,"input_count":2},"bot_id":"bot","user_id":"cozeq",` +
				`"conversation_id":"own RUN-1","chat_id":"chat of 1 < 2?","attempts":1}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
			l.Fails = func(q string) bool { return strings.HasPrefix(q, "bad") }
			path := filepath.Join(t.TempDir(), test.output)
			job := l.NewJob(filetest.Open(t, test.file, test.content, input.Options{}), path)
			s, err := job.Run(t.Context())
			if err != nil || s.Output != path || s.Journal != "" || s.Asked != s.Rows || s.Done() != s.Rows {
				t.Fatalf("Run: %+v, %v", s, err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if g := filetest.Anonymous(string(got)); g != test.want {
				t.Errorf("got\n%swant\n%s", g, test.want)
			}
			filetest.Alone(t, path)
		})
	}
}

// TestResumeAtEveryPoint cuts the journal of a whole run at each line's end and in each line's middle, as a kill
// would, and goes on with what is left in a new, empty Redis.
func TestResumeAtEveryPoint(t *testing.T) {
	content, questions := filetest.Quiz(7)
	dir := t.TempDir()
	var whole []byte
	{
		l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
		path := filepath.Join(dir, "whole.jsonl")
		job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
		// The last record is written before OnRecord is called.
		job.OnRecord = func(*input.Row, *results.Result) { whole, _ = os.ReadFile(path + ".partial") }
		if _, err := job.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		filetest.Complete(t, path, questions)
	}

	cuts := []int{0}
	for at := range bytes.Lines(whole) {
		last := cuts[len(cuts)-1]
		cuts = append(cuts, last+len(at)/2, last+len(at))
	}
	for i, cut := range cuts {
		synctest.Test(t, func(t *testing.T) {
			b := filetest.NewBook()
			l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
			path := filepath.Join(dir, fmt.Sprintf("cut%d.jsonl", i))
			if err := os.WriteFile(path+".partial", whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			recorded, known := readJournal(t, whole[:cut])

			s, err := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path).Run(t.Context())
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			filetest.Complete(t, path, questions)
			if s.Resumed != len(recorded) || s.Asked != len(questions)-len(recorded) {
				t.Errorf("cut at %d: %d resumed and %d asked, %d were recorded", cut, s.Resumed, s.Asked, len(recorded))
			}
			for _, id := range b.Taken {
				if recorded[id] {
					t.Errorf("cut at %d: %s was enqueued again", cut, id)
				}
			}
			if len(b.LookedUp) != len(known) {
				t.Errorf("cut at %d: looked up %q, want %v", cut, b.LookedUp, known)
			}
			for _, q := range b.LookedUp {
				if b.Asked()[q] > 0 {
					t.Errorf("cut at %d: %q was asked again", cut, q)
				}
			}
			// The conversation is the one that it was.
			var conversation string
			for _, r := range filetest.Records(t, path) {
				if r.ConversationKey == "" {
					continue
				}
				if conversation == "" {
					conversation = r.ConversationID
				}
				if r.ConversationID != conversation {
					t.Errorf("cut at %d: row %s is in %q, want %q", cut, r.CustomID, r.ConversationID, conversation)
				}
			}
		})
	}
}

// readJournal tells which tasks have a whole record in a journal, and which rows a chat but none.
func readJournal(t *testing.T, content []byte) (recorded map[string]bool, flying map[int]bool) {
	recorded, flying = make(map[string]bool), make(map[int]bool)
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var e struct {
			Cozeq    string
			Row      int
			ID       string
			CustomID string `json:"custom_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		switch e.Cozeq {
		case "chat":
			flying[e.Row] = true
		case "":
			recorded[e.ID] = true
			var row int
			fmt.Sscan(e.CustomID, &row)
			delete(flying, row)
		}
	}
	return recorded, flying
}

// TestCutShort ends the context after each number of records, with handlers in all stages.
func TestCutShort(t *testing.T) {
	content, questions := filetest.Quiz(8)
	for n := range len(questions) {
		synctest.Test(t, func(t *testing.T) {
			b := filetest.NewBook()
			path := filepath.Join(t.TempDir(), "a.jsonl")
			ctx, cancel := context.WithCancelCause(t.Context())
			l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
			var begun atomic.Int32
			l.After = func(string) {
				if begun.Add(1) > int32(n) {
					cancel(filetest.ErrStopped)
				}
			}
			job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
			job.Window = 3
			job.Drain = stop
			s, err := job.Run(ctx)
			if len(b.Asked()) == len(questions) {
				// All were in flight: when they are drained there is nothing to go on with.
				if err != nil || s.Answered != len(questions) || s.Journal != "" {
					t.Fatalf("Run: %+v, %v; want a run that is complete", s, err)
				}
				filetest.Complete(t, path, questions)
				filetest.AskedOnce(t, b, questions)
				return
			}
			if !errors.Is(err, filetest.ErrStopped) || s.Journal != path+".partial" {
				t.Fatalf("Run: %+v, %v; want the context's cause", s, err)
			}
			journal, err := os.ReadFile(path + ".partial")
			if err != nil {
				t.Fatal(err)
			}
			recorded, _ := readJournal(t, journal)
			if len(recorded) != len(b.Asked()) || s.Done() != len(recorded) {
				t.Errorf("%d questions were asked and answered, %d are recorded, %d counted", len(b.Asked()), len(recorded), s.Done())
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the output is there before it is complete: %v", err)
			}

			again, _ := filetest.NewLine(t, redistest.Embedded(t), b)
			s, err = again.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path).Run(t.Context())
			if err != nil || s.Answered != len(questions) {
				t.Fatalf("the second run: %+v, %v", s, err)
			}
			filetest.Complete(t, path, questions)
			filetest.AskedOnce(t, b, questions)
		})
	}
}

// TestSharedRedis goes on with tasks that are still in the queue, on a Redis that outlives the run.
func TestSharedRedis(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		content, questions := filetest.Quiz(12)
		path := filepath.Join(t.TempDir(), "a.jsonl")
		b := filetest.NewBook()
		l, stop := filetest.NewLine(t, rdb, b)
		stop() // nobody works yet
		ctx, cancel := context.WithCancelCause(t.Context())
		job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
		job.Forget = false
		stopped := make(chan error)
		go func() {
			_, err := job.Run(ctx)
			stopped <- err
		}()
		for job.Snapshot().Enqueued < len(questions) {
			time.Sleep(time.Millisecond) // polling: the end is the condition, not the time
		}
		cancel(filetest.ErrStopped)
		if err := <-stopped; !errors.Is(err, filetest.ErrStopped) {
			t.Fatal(err)
		}

		l, _ = filetest.NewLine(t, rdb, b)
		job = l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
		job.Forget = false
		if _, err := job.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		filetest.Complete(t, path, questions)
		filetest.AskedOnce(t, b, questions)
	})
}

func TestWindowAndForget(t *testing.T) {
	content, questions := filetest.Quiz(30)
	rdb := redistest.Embedded(t)
	l, _ := filetest.NewLine(t, rdb, filetest.NewBook())
	path := filepath.Join(t.TempDir(), "a.jsonl")
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	job.Window = 4
	most := 0
	job.OnRecord = func(*input.Row, *results.Result) { most = max(most, job.Snapshot().Enqueued) }
	var last progress.Snapshot
	job.OnSnapshot = func(s progress.Snapshot) { last = s }
	s, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if most > job.Window {
		t.Errorf("%d rows in the window, want at most %d", most, job.Window)
	}
	if last.Done != len(questions) || last.Total != len(questions) || last.Enqueued != 0 || last.InFlight != 0 || last.Tokens != 150 {
		t.Errorf("the last snapshot is %+v", last)
	}
	if s.Tokens != 150 || s.TokensIn != 60 || s.TokensOut != 90 || s.P95 < s.Mean/2 {
		t.Errorf("summary %+v", s)
	}
	if keys, err := rdb.Keys(t.Context(), "cozeq:result:*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("left in Redis: %v, %v", keys, err)
	}
}

// TestInFlight counts chats at Coze, not the rows that are enqueued: with four workers there are four.
func TestInFlight(t *testing.T) {
	const workers, rows = 4, 30
	content, _ := filetest.Quiz(rows)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	var running atomic.Int32
	var seen progress.Snapshot
	all := make(chan struct{})
	l.After = func(string) {
		if running.Add(1) == workers {
			seen = job.Snapshot()
			close(all)
		}
		<-all
	}
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seen.InFlight != workers || seen.Open() != rows || seen.Enqueued != rows || seen.Queued+seen.Waiting.Total() != rows-workers {
		t.Errorf("%+v, want %d in flight of %d open", seen, workers, rows)
	}
}

// TestSmallWindow: few rows are in Redis at a time until one names a conversation.
func TestSmallWindow(t *testing.T) {
	var content strings.Builder
	for i := range 20 {
		fmt.Fprintf(&content, `{"question":"plain %d"}`+"\n", i)
	}
	for i := range 20 {
		fmt.Fprintf(&content, `{"question":"turn %d","conversation_key":"talk"}`+"\n", i)
	}
	rdb := redistest.Embedded(t)
	l, _ := filetest.NewLine(t, rdb, filetest.NewBook())
	job := l.NewJob(filetest.Open(t, "q.jsonl", content.String(), input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	job.Window, job.SmallWindow = 15, 3
	plain, turns := 0, 0 // the most rows that had not ended
	job.OnRecord = func(*input.Row, *results.Result) {
		keys, err := rdb.Keys(t.Context(), "cozeq:result:*").Result()
		if err != nil {
			t.Error(err)
		}
		open, keyed := 0, 0
		for _, key := range keys {
			now, err := rdb.HMGet(t.Context(), key, "status", "conversation_key").Result()
			if err != nil {
				t.Error(err)
			}
			if status, ok := now[0].(string); ok && !results.Status(status).Terminal() {
				open++
			}
			if now[1] != nil {
				keyed++
			}
		}
		if keyed == 0 {
			plain = max(plain, open)
		} else {
			turns = max(turns, open)
		}
	}
	if s, err := job.Run(t.Context()); err != nil || s.Answered != 40 {
		t.Fatal(s, err)
	}
	if plain > job.SmallWindow || turns <= job.SmallWindow || turns > job.Window {
		t.Errorf("at most %d plain rows and %d turns were open, want %d and up to %d", plain, turns, job.SmallWindow, job.Window)
	}
}

func TestConversationsKeepTheirOrder(t *testing.T) {
	var content strings.Builder
	want := make(map[string][]string)
	for i := range 20 {
		key := string(rune('a' + i%3))
		q := fmt.Sprintf("%s, turn %d", key, i)
		want[key] = append(want[key], q)
		fmt.Fprintf(&content, `{"question":%q,"conversation_key":%q}`+"\n", q, key)
	}
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	job := l.NewJob(filetest.Open(t, "q.jsonl", content.String(), input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, turns := range b.Turns {
		if !slices.Equal(turns, want[turns[0][:1]]) {
			t.Errorf("turns %q", turns)
		}
	}
	if len(b.Turns) != len(want) {
		t.Errorf("%d conversations, want %d", len(b.Turns), len(want))
	}
}

// runUnserved begins a job that no worker serves yet. complete starts one, and wants each question asked once and answered.
func runUnserved(t *testing.T, job *filerun.Job) (complete func(rdb redis.UniversalClient, b *filetest.Book, questions []string)) {
	ended := make(chan error)
	go func() {
		_, err := job.Run(t.Context())
		ended <- err
	}()
	return func(rdb redis.UniversalClient, b *filetest.Book, questions []string) {
		t.Helper()
		l, _ := filetest.NewLine(t, rdb, b)
		l.Mu.Lock()
		l.Job = job
		l.Mu.Unlock()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		filetest.Complete(t, job.Output, questions)
		filetest.AskedOnce(t, b, questions)
	}
}

// TestRedisForgets restarts a Redis that keeps nothing while all rows are in its queue.
func TestRedisForgets(t *testing.T) {
	content, questions := filetest.Quiz(9)
	content = strings.ReplaceAll(content, `,"conversation_key":"talk"`, "")
	server := redistest.Start(t)
	b := filetest.NewBook()
	l, stop := filetest.NewLine(t, server.Client(), b)
	stop() // nobody works yet
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	complete := runUnserved(t, job)
	for n := 0; n < len(questions); {
		keys, err := server.Client().Keys(t.Context(), "asynq:{default}:t:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		n = len(keys)
	}
	server.Restart()
	complete(server.Client(), b, questions)
}

// TestRecordsComeBack takes the records of all rows away until the run has missed them, as a flush does whose records the workers
// write anew. The run waits for those rows again.
func TestRecordsComeBack(t *testing.T) {
	content, questions := filetest.Quiz(9)
	server := redistest.Start(t)
	rdb := server.Client()
	b := filetest.NewBook()
	l, stop := filetest.NewLine(t, rdb, b)
	stop() // nobody works yet
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	complete := runUnserved(t, job)
	awaittest.Until(t, "the run waits for all rows", func() bool {
		channels, err := rdb.PubSubChannels(t.Context(), "cozeq:done:*").Result()
		return err == nil && len(channels) == len(questions)
	})
	unsubscribed := func() (n int) {
		stats := rdb.InfoMap(t.Context(), "commandstats").Item("Commandstats", "cmdstat_unsubscribe")
		fmt.Sscanf(stats, "calls=%d", &n)
		return n
	}
	move := func(from, to string) {
		for _, key := range redistest.Keys(t, rdb, from+"cozeq:result:*") {
			if err := rdb.Rename(t.Context(), key, to+strings.TrimPrefix(key, from)).Err(); err != nil {
				t.Error(err)
			}
		}
	}
	move("", "away:")
	before := unsubscribed()
	if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the run has missed a record on its new connection", func() bool { return unsubscribed() > before })
	move("away:", "")
	complete(rdb, b, questions)
}

func TestStdout(t *testing.T) {
	content, questions := filetest.Quiz(5)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	var out bytes.Buffer
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), "")
	job.Stdout = &out
	s, err := job.Run(t.Context())
	if err != nil || s.Answered != len(questions) || s.Journal != "" {
		t.Fatalf("Run: %+v, %v", s, err)
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if records := filetest.Records(t, path); len(records) != len(questions) {
		t.Errorf("%d records, want %d", len(records), len(questions))
	}
}

// broken is a pipe whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestStdoutBreaks(t *testing.T) {
	content, _ := filetest.Quiz(5)
	l, stop := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), "")
	job.Stdout, job.Drain = broken{}, stop
	if _, err := job.Run(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Run: %v, want the writer's error", err)
	}
}
