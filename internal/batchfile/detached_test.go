package batchfile_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/xuri/excelize/v2"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

func submit(t testing.TB, l *filetest.Line, in *input.Input) *batchfile.Detached {
	t.Helper()
	bs := batches.New(l.Client)
	b, already, err := (&batchfile.Submission{Input: in, Batches: bs}).Run(t.Context())
	if err != nil || already {
		t.Fatalf("submit %s: already %v, %v", in.Name(), already, err)
	}
	return &batchfile.Detached{Batch: b, Batches: bs, Results: l.Store}
}

// ended waits for the batch's end and looks at it again.
func ended(t testing.TB, d *batchfile.Detached) {
	t.Helper()
	b, err := d.Follow(t.Context(), batchfile.Watcher{Repaired: func(m batches.Repaired) { t.Errorf("mended: %+v", m) }})
	if err != nil {
		t.Fatal(err)
	}
	d.Batch = b
}

// write writes the batch's records and returns the file.
func write(t testing.TB, d *batchfile.Detached, name string) (path string, s progress.Summary) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	s, err := d.Write(t.Context(), path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	filetest.Alone(t, path)
	return path, s
}

// What a batch writes when its file is long gone is what a run of the file writes.
func TestDetachedWritesWhatARunWrites(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("很长的问题", 600)
	inputs := []struct{ name, content string }{
		{"numbers.xlsx", numbersSheet(t)},
		{"marked.csv", "\ufeffid,question,conversation_key\n=1+1,=cmd(),\n-5,two,k\n"},
		{"own.csv", "custom_id;question;城市;城市\nb;two;\"a;b\";c\na;one;\"say \"\"x\"\"\";\"=1\n2\"\n"},
		{"again.tsv", "question\tnote\tanswer\tstatus\terror_code\terror_msg\ttoken_count\tconversation_id\tchat_id\none\t'=x\told\tfailed\t\t\t\t\t\n"},
		{"names.csv", "question,answer,,status\none,mine,x,yours\n"},
		{"plain.txt", "one\n\nbad, or not\n" + long + "\n"},
		{"ours.jsonl", `{"custom_id":"x","question":"1 < 2?"}` + "\n" + `{"question":"` + long + `","conversation_key":"k"}` + "\n"},
		{"other.jsonl", `{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"one"}],"model":"m"}}` + "\n"},
	}
	for _, in := range inputs {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
			l.Fails = func(q string) bool { return strings.HasPrefix(q, "bad") }
			d := submit(t, l, filetest.Open(t, in.name, in.content, input.Options{}))
			ended(t, d)
			for _, name := range []string{"a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.xlsx"} {
				got, _ := write(t, d, name)
				want := filepath.Join(t.TempDir(), name)
				alone, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook()) // conversations have names, for all of a Redis
				alone.Fails = l.Fails
				if _, err := alone.NewJob(filetest.Open(t, in.name, in.content, input.Options{}), want).Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if g, w := readable(t, got), readable(t, want); g != w {
					t.Errorf("%s to %s: the batch writes\n%s\nthe run\n%s", in.name, name, g, w)
				}
				v, err := d.Verify(t.Context(), got)
				if err != nil || !v.Clean() {
					t.Errorf("%s: %+v, %v", name, v, err)
				}
			}
		})
	}
}

// numbersSheet is an .xlsx with numbers, and texts that look like some.
func numbersSheet(t testing.TB) string {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	for i, row := range [][]any{{"custom_id", "question", "数", "text"}, {"007", "one", 123456789012345678, "0123"}, {8, "two", -1.5, "=1+1"}, {"", "three", nil, ""}} {
		if err := book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	content, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return content.String()
}

// readable is an OUTPUT as text, without what differs from run to run.
func readable(t testing.TB, path string) string {
	t.Helper()
	if strings.HasSuffix(path, ".xlsx") {
		book, err := excelize.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		name := book.GetSheetName(0)
		rows, err := book.GetRows(name)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for y, row := range rows {
			for x, cell := range row {
				at, _ := excelize.CoordinatesToCellName(x+1, y+1)
				kind, err := book.GetCellType(name, at)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s %d %q\n", at, kind, cell)
			}
		}
		return filetest.Anonymous(b.String())
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if content, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return withoutBatch(filetest.Anonymous(string(text)))
}

// withoutBatch takes out what a run's records do not have.
func withoutBatch(text string) string {
	if _, after, ok := strings.Cut(text, `"batch_id":"`); ok {
		id, _, _ := strings.Cut(after, `"`)
		text = strings.ReplaceAll(text, `"batch_id":"`+id+`",`, "")
	}
	return text
}

// Whoever submits a file is stopped after each chunk, and before the last note: the next one goes on, and every question
// is asked once.
func TestSubmissionResumes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		content, questions := filetest.Quiz(batches.ChunkRows + 7)
		book := filetest.NewBook()
		l, _ := filetest.NewLine(t, rdb, book)
		bs := batches.New(l.Client)
		var told []int
		for stops := 0; ; stops++ {
			ctx, stop := filetest.WithStop(t)
			s := &batchfile.Submission{Input: filetest.Open(t, "q.jsonl", content, input.Options{}), Batches: bs}
			s.OnProgress = func(rows int) {
				told = append(told, rows)
				stop()
			}
			b, already, err := s.Run(ctx)
			if err == nil {
				if !already && stops > 3 {
					t.Fatalf("submitted anew at the %dth go", stops)
				}
				if b.SubmittedAt.IsZero() || b.Enqueued != len(questions) {
					t.Fatalf("submitted, and then %+v", b)
				}
				break
			}
			if stops > 3 || err != filetest.ErrStopped {
				t.Fatalf("stopped %d times: %v", stops, err)
			}
		}
		if want := []int{250, 257}; !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v: each chunk once", told, want)
		}
		d := &batchfile.Detached{Batches: bs, Results: l.Store}
		all, err := bs.List(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%d batches, %v", len(all), err)
		}
		d.Batch = all[0]
		ended(t, d)
		path, s := write(t, d, "a.jsonl")
		filetest.Complete(t, path, questions)
		filetest.AskedOnce(t, book, questions)
		if s.Answered != len(questions) || s.Tokens != int64(5*len(questions)) || d.Batch.Tokens.TokenCount != s.Tokens {
			t.Errorf("%+v, and the batch has %+v", s, d.Batch.Tokens)
		}
		if c := d.Batch.Counts; c.Total != len(questions) || c.Completed != c.Total {
			t.Errorf("counts %+v", c)
		}
	})
}

// An id is made of what is asked and of nothing else.
func TestBatchIdentity(t *testing.T) {
	t.Parallel()
	identity := func(name, content string, o input.Options) string {
		in := filetest.Open(t, name, content, o)
		if _, err := in.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return in.Identity()
	}
	const content = "question,other\none,two\n"
	first := identity("a.csv", content, input.Options{})
	if again := identity("b.csv", content, input.Options{}); again != first {
		t.Error("the file's name counts")
	}
	for what, other := range map[string]string{
		"the content":     identity("a.csv", content+"three,four\n", input.Options{}),
		"the bot":         identity("a.csv", content, input.Options{BotID: "another"}),
		"the column":      identity("a.csv", content, input.Options{QuestionCol: "other"}),
		"the prompt":      identity("a.csv", content, input.Options{Prompt: "{{.other}}"}),
		"the credential":  identity("a.csv", content, input.Options{Credential: "shop"}),
		"the tools":       identity("a.csv", content, input.Options{Tools: map[string]tasks.ToolWebhook{"t": {URL: "https://example.com"}}}),
		"on_turn_failure": identity("a.csv", content, input.Options{OnTurnFailure: tasks.TurnBlock}),
	} {
		if other == first {
			t.Errorf("%s does not count", what)
		}
	}
	if a, b := batchfile.BatchID(first, 1), batchfile.BatchID(first, 2); a == b || batches.ValidateID(a) != nil || len(a) != 10 {
		t.Errorf("ids %q and %q", a, b)
	}
}

// A name is one batch's.
func TestSubmissionOfAnotherInput(t *testing.T) {
	t.Parallel()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	bs := batches.New(l.Client)
	run := func(content string) error {
		s := &batchfile.Submission{Input: filetest.Open(t, "q.txt", content, input.Options{}), Batches: bs}
		s.Batch.ID = "night"
		_, _, err := s.Run(t.Context())
		return err
	}
	if err := run("one\n"); err != nil {
		t.Fatal(err)
	}
	if err := run("two\n"); err == nil || err.Error() != "batch night is there, and was made of other questions (\"q.txt\"): choose another --id" {
		t.Errorf("another input: %v", err)
	}
}

// What is gone from Redis is told, row by row.
func TestDetachedLost(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		content, questions := filetest.Quiz(batches.ChunkRows + 50)
		l, _ := filetest.NewLine(t, rdb, filetest.NewBook())
		l.Fails = func(q string) bool { return q == "question 2" }
		d := submit(t, l, filetest.Open(t, "q.jsonl", content, input.Options{}))
		ended(t, d)
		id := func(row int) string { return batches.TaskID(d.Batch.ID, row, 1) }
		if err := l.Store.Delete(t.Context(), id(1), id(2), id(300)); err != nil {
			t.Fatal(err)
		}
		if err := rdb.HDel(t.Context(), "cozeq:batch:{"+d.Batch.ID+"}:rows", "1").Err(); err != nil {
			t.Fatal(err)
		}
		path, s := write(t, d, "a.jsonl")
		records := filetest.Records(t, path)
		if len(records) != len(questions) || s.Answered != len(questions)-3 || s.Failed != 3 {
			t.Fatalf("%d records for %d questions, %+v", len(records), len(questions), s)
		}
		for row, had := range map[int]string{1: "completed", 2: "failed", 300: "completed"} {
			r := records[row-1]
			if r.ID != id(row) || r.Status != results.Failed || r.Error == nil || !strings.Contains(r.Error.Message, "had ended as "+had) {
				t.Errorf("row %d: %+v, %+v", row, r, r.Error)
			}
		}
		if r := records[298]; r.Answer != "re: question 299" || r.CustomID != "299" {
			t.Errorf("the row of a chunk that is gone: %+v", r)
		}
		if table, _ := write(t, d, "a.csv"); strings.Count(readable(t, table), "\n") != len(questions)+1 {
			t.Error("the table has another number of rows")
		}
		v, err := d.Verify(t.Context(), "")
		if err != nil || v.Faulty != 2+50 || v.Total != 3+50 {
			t.Fatalf("%d faults in %d rows, %v", v.Total, v.Faulty, err)
		}
		if got := v.Faults[0].String(); got != "row 1: its record has gone from Redis, where it had ended as completed" {
			t.Error(got)
		}
	})
}

// Rows that have not ended are written as what they are, and one that was never enqueued is told from one that is lost.
func TestDetachedPartial(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	bs := batches.New(tasks.NewClient(store))
	content, questions := filetest.Quiz(batches.ChunkRows + 1)
	ctx, stop := filetest.WithStop(t)
	s := &batchfile.Submission{Input: filetest.Open(t, "q.jsonl", content, input.Options{}), Batches: bs, OnProgress: func(int) { stop() }}
	b, _, err := s.Run(ctx)
	if err != filetest.ErrStopped {
		t.Fatalf("%+v, %v", b, err)
	}
	if b, err = bs.Get(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	d := &batchfile.Detached{Batch: b, Batches: bs, Results: store}
	path, sum := write(t, d, "a.jsonl")
	records := filetest.Records(t, path)
	if len(records) != len(questions) || sum.Done() != 0 || records[0].Status != results.Queued || records[250].Status != results.Queued {
		t.Errorf("%d records, %+v", len(records), sum)
	}
	v, err := d.Verify(t.Context(), "")
	if err != nil || v.Faulty != len(questions) {
		t.Fatalf("%+v, %v", v, err)
	}
	if got := v.Faults[0].String(); got != "row 1: it has not ended: queued" {
		t.Error(got)
	}
	if got := v.Faults[250].String(); got != "row 251: it was never enqueued: the batch's submit was interrupted" {
		t.Error(got)
	}
	flights, err := d.OpenRows(t.Context(), 100)
	if err != nil || len(flights) < 50 || len(flights) > 100 || flights[0].ID != b.ID+"-1" {
		t.Errorf("%d flights, %v", len(flights), err)
	}
}

// What Redis has lost of a batch that was submitted is put back by who submits it again.
func TestSubmitAgainRepairs(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	book := filetest.NewBook()
	content, questions := filetest.Quiz(9)
	l, stop := filetest.NewLine(t, rdb, book)
	stop()
	d := submit(t, l, filetest.Open(t, "q.jsonl", content, input.Options{}))
	lost := batches.TaskID(d.Batch.ID, 4, 1)
	if err := rdb.Del(t.Context(), results.Key(lost), "asynq:{default}:t:"+lost).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.LRem(t.Context(), "asynq:{default}:pending", 0, lost).Err(); err != nil {
		t.Fatal(err)
	}
	s := &batchfile.Submission{Input: filetest.Open(t, "q.jsonl", content, input.Options{}), Batches: d.Batches}
	if _, already, err := s.Run(t.Context()); err != nil || !already {
		t.Fatalf("already %v, %v", already, err)
	}
	other, _ := filetest.NewLine(t, rdb, book)
	d.Results = other.Store
	ended(t, d)
	path, _ := write(t, d, "a.jsonl")
	filetest.Complete(t, path, questions)
	filetest.AskedOnce(t, book, questions)
}

// Each kind of failure has an example, the first of the file.
func TestDetachedFailures(t *testing.T) {
	t.Parallel()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	l.Fails = func(q string) bool { return strings.HasPrefix(q, "bad") }
	d := submit(t, l, filetest.Open(t, "q.txt", "one\nbad two\nthree\nbad four\n", input.Options{}))
	ended(t, d)
	got, err := d.Failures(t.Context())
	want := []progress.FailureCount{{Class: "permanent", Code: 4000, Count: 2, CustomID: "2", Message: "no answer to bad two"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// A batch that vanishes under who follows it is an error, not a wait for ever.
func TestFollowGone(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	l, stop := filetest.NewLine(t, rdb, filetest.NewBook())
	stop()
	d := submit(t, l, filetest.Open(t, "q.txt", "one\n", input.Options{}))
	_, err := d.Follow(t.Context(), batchfile.Watcher{Show: func(*batches.Status) { rdb.FlushAll(t.Context()) }})
	if err == nil || !strings.Contains(err.Error(), batches.ErrNotFound.Error()) {
		t.Error(err)
	}
}

// Where nothing moves for a minute, what Redis has lost is put back.
func TestFollowRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := redistest.Embedded(t)
		store := results.NewStore(rdb)
		defer store.Close()
		bs := batches.New(tasks.NewClient(store))
		b, _, err := (&batchfile.Submission{Input: filetest.Open(t, "q.txt", "one\ntwo\n", input.Options{}), Batches: bs}).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lost := batches.TaskID(b.ID, 2, 1)
		if err := rdb.Del(t.Context(), "asynq:{default}:t:"+lost).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.LRem(t.Context(), "asynq:{default}:pending", 0, lost).Err(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := filetest.WithStop(t)
		began := time.Now()
		var done batches.Repaired
		d := &batchfile.Detached{Batch: b, Batches: bs, Results: store}
		_, err = d.Follow(ctx, batchfile.Watcher{Repaired: func(m batches.Repaired) {
			done = m
			stop()
		}})
		if err != filetest.ErrStopped || done != (batches.Repaired{Enqueued: 1}) {
			t.Fatalf("%+v, %v", done, err)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("mended after %v of the bubble's time", took)
		}
		if n := rdb.LLen(t.Context(), "asynq:{default}:pending").Val(); n != 2 {
			t.Errorf("%d tasks are pending, want 2", n)
		}
	})
}

// Of a batch whose submit has died nothing moves, and nothing of it is lost: that is said, once in a while.
func TestFollowStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := redistest.Embedded(t)
		store := results.NewStore(rdb)
		defer store.Close()
		bs := batches.New(tasks.NewClient(store))
		b, _, err := bs.Create(t.Context(), batches.Spec{ID: "half", Rows: 3})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := filetest.WithStop(t)
		began := time.Now()
		var said []time.Duration
		d := &batchfile.Detached{Batch: b, Batches: bs, Results: store}
		_, err = d.Follow(ctx, batchfile.Watcher{
			Repaired: func(m batches.Repaired) { t.Errorf("mended: %+v", m) },
			Stalled: func(*batches.Status) {
				if said = append(said, time.Since(began).Round(time.Minute)); len(said) == 3 {
					stop()
				}
			},
		})
		if want := []time.Duration{time.Minute, 3 * time.Minute, 7 * time.Minute}; err != filetest.ErrStopped || !slices.Equal(said, want) {
			t.Errorf("said after %v, %v, want %v", said, err, want)
		}
	})
}

// Somebody cancels the batch while it is submitted.
func TestSubmissionCanceled(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	bs := batches.New(tasks.NewClient(store))
	content, _ := filetest.Quiz(2 * batches.ChunkRows)
	s := &batchfile.Submission{Input: filetest.Open(t, "q.jsonl", content, input.Options{}), Batches: bs, Batch: batches.Spec{ID: "b"}}
	s.OnProgress = func(int) {
		if err := bs.Cancel(t.Context(), "b", nil); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.Run(t.Context()); !errors.Is(err, batches.ErrCanceled) {
		t.Fatal(err)
	}
	b, err := bs.Get(t.Context(), "b")
	if err != nil || b.Counts.Canceled != 2*batches.ChunkRows {
		t.Errorf("%+v, %v", b.Counts, err)
	}
	if n := rdb.LLen(t.Context(), "asynq:{default}:pending").Val(); n != 0 {
		t.Errorf("%d tasks are left in the queue", n)
	}
	if _, already, err := s.Run(t.Context()); err != nil || !already {
		t.Errorf("again: already %v, %v", already, err)
	}
}
