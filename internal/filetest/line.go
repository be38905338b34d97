// Package filetest is what the tests of runs and batches over files share: a queue with a worker that answers without Coze,
// inputs, and checks of outputs.
package filetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Line is a queue with a worker that answers without Coze. What it is asked, and what it only looks up, it remembers
// over all the runs that it serves.
type Line struct {
	Redis         redis.UniversalClient
	Store         *results.Store
	Client        *tasks.Client
	Conversations *conversation.Names
	server        *asynq.Server

	book  *Book
	Fails func(question string) bool

	// Doubts picks those of them whose chat may have an answer.
	Doubts func(question string) bool
	After  func(id string) // called when its chat runs, before it ends

	Mu  sync.Mutex
	Job *filerun.Job // told of progress
}

// Book is what a Coze would remember.
type Book struct {
	Mu       sync.Mutex
	Taken    []string       // ids of tasks, in the order in which a worker took them up
	asked    map[string]int // how often, by question
	LookedUp []string       // questions
	Turns    map[string][]string
}

func NewBook() *Book {
	return &Book{asked: make(map[string]int), Turns: make(map[string][]string)}
}

// Asked returns how often each question has been asked. A worker may go on asking after a run was cut short.
func (b *Book) Asked() map[string]int {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	return maps.Clone(b.asked)
}

// NewLine starts a line. stop ends its worker; it may be called twice.
func NewLine(t testing.TB, rdb redis.UniversalClient, b *Book) (l *Line, stop func()) {
	t.Helper()
	l = &Line{Redis: rdb, Store: results.NewStore(rdb), Conversations: conversation.New(rdb), book: b}
	l.Client = tasks.NewClient(l.Store)
	l.server = asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:       4,
		Queues:            map[string]int{tasks.QueueDefault: 1},
		TaskCheckInterval: 5 * time.Millisecond,
		LogLevel:          asynq.FatalLevel,
		ShutdownTimeout:   time.Minute,
		RetryDelayFunc:    func(int, error, *asynq.Task) time.Duration { return time.Second },
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc(tasks.TypeChat, l.handle)
	if err := l.server.Start(mux); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(l.server.Shutdown)
	t.Cleanup(func() {
		stop()
		l.Store.Close()
	})
	return l, stop
}

func (l *Line) NewJob(in *input.Input, output string) *filerun.Job {
	job := &filerun.Job{Input: in, Output: output, Tasks: l.Client, Results: l.Store, Conversations: l.Conversations, Forget: true}
	l.Mu.Lock()
	l.Job = job
	l.Mu.Unlock()
	return job
}

func (l *Line) handle(ctx context.Context, task *asynq.Task) error {
	id, _ := asynq.GetTaskID(ctx)
	c, err := tasks.Decode(task.Payload())
	if err != nil {
		return err
	}
	a, err := record.New(l.Store).Begin(ctx, results.Result{ID: id, CustomID: c.CustomID, BatchID: c.BatchID, BotID: c.BotID, ConversationKey: c.ConversationKey, Lane: c.Lane()}, c.HasBody())
	if err != nil {
		return err
	}
	if !a.Ended {
		if c.HasBody() {
			if err := c.SetBody(a.Body); err != nil {
				return err
			}
		}
		if err := l.answer(ctx, id, c, a); err != nil {
			return err
		}
	}
	if err := tally.New(l.Redis).MarkResult(ctx, &a.Result); err != nil {
		return err
	}
	if c.Lane() == "" {
		return nil
	}
	return lane.New(l.Redis).Leave(ctx, lane.Place{Lane: c.Lane(), Queue: tasks.QueueDefault, ID: id})
}

func (l *Line) answer(ctx context.Context, id string, c *tasks.Chat, a *record.Attempt) error {
	question := c.AdditionalMessages[0].Content
	l.Mu.Lock()
	job := l.Job
	l.Mu.Unlock()

	conversation := a.Result.ConversationID
	if conversation == "" {
		conversation = c.ConversationID
	}
	if conversation == "" && c.ConversationKey != "" {
		var err error
		if conversation, err = l.Conversations.Name(ctx, c.BotID, c.ConversationKey, "of "+id); err != nil {
			return err
		}
	}
	if conversation == "" {
		conversation = "own " + id
	}

	l.book.Mu.Lock()
	l.book.Taken = append(l.book.Taken, id)
	l.book.Mu.Unlock()
	switch {
	case a.Result.ChatID != "" || !a.AskedAt.IsZero():
		l.book.Mu.Lock()
		l.book.LookedUp = append(l.book.LookedUp, question)
		l.book.Mu.Unlock()
		a.Result.ChatID = "chat of " + question
	default:
		p := filerun.Progress{
			ID: id, BotID: c.BotID, ConversationKey: c.ConversationKey, ConversationID: conversation, AskedAt: time.Now(),
		}
		if err := progress(ctx, job, p); err != nil {
			return err
		}
		if err := a.Asking(ctx, conversation); err != nil {
			return err
		}
		l.book.Mu.Lock()
		l.book.asked[question]++
		l.book.Turns[conversation] = append(l.book.Turns[conversation], question)
		l.book.Mu.Unlock()
		p.ChatID = "chat of " + question
		if err := progress(ctx, job, p); err != nil {
			return err
		}
		if err := a.Created(ctx, conversation, p.ChatID); err != nil {
			return err
		}
	}
	if l.After != nil {
		l.After(id)
	}
	a.Result.ConversationID = conversation
	a.Result.Attempts = 1
	a.Result.Usage = &results.Usage{TokenCount: 5, OutputCount: 3, InputCount: 2}
	a.Result.Status, a.Result.Answer = results.Completed, "re: "+question
	if l.Fails != nil && l.Fails(question) {
		a.Result.Status, a.Result.Answer = results.Failed, ""
		a.Result.Error = &results.Failure{Code: 4000, Class: "permanent", Message: "no answer to " + question}
		a.Result.PossibleDuplicate = a.Result.PossibleDuplicate || l.Doubts != nil && l.Doubts(question)
	}
	return a.Finish(context.WithoutCancel(ctx), false)
}

// progress tells the job, if there is one: a batch that is detached has none.
func progress(ctx context.Context, job *filerun.Job, p filerun.Progress) error {
	if job == nil {
		return nil
	}
	return job.Progress(ctx, p)
}

func Records(t testing.TB, path string) []results.Result {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var records []results.Result
	for raw := range strings.Lines(string(content)) {
		var r results.Result
		if err := json.Unmarshal([]byte(raw), &r); err != nil {
			t.Fatalf("%s: %v: %s", path, err, raw)
		}
		records = append(records, r)
	}
	return records
}

// Complete checks that OUTPUT has one completed record for each question, in order, and nothing is left beside it.
func Complete(t testing.TB, path string, questions []string) {
	t.Helper()
	records := Records(t, path)
	if len(records) != len(questions) {
		t.Fatalf("%d records, want %d", len(records), len(questions))
	}
	for i, r := range records {
		if r.Status != results.Completed || r.Answer != "re: "+questions[i] || r.CustomID == "" {
			t.Errorf("record %d is %+v, want the answer to %q", i+1, r, questions[i])
		}
	}
	Alone(t, path)
}

// Alone checks that no journal and no temporary file is left.
func Alone(t testing.TB, path string) {
	t.Helper()
	left, err := filepath.Glob(path + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("left beside %s: %v, %v", path, left, err)
	}
}

func AskedOnce(t testing.TB, b *Book, questions []string) {
	t.Helper()
	b.Mu.Lock()
	defer b.Mu.Unlock()
	for _, q := range questions {
		if n := b.asked[q]; n != 1 {
			t.Errorf("%q was asked %d times, want once", q, n)
		}
	}
}

// Quiz makes an input of n questions, every third of one conversation.
func Quiz(n int) (content string, questions []string) {
	var b strings.Builder
	for i := range n {
		q := fmt.Sprintf("question %d", i+1)
		questions = append(questions, q)
		if i%3 == 2 {
			fmt.Fprintf(&b, `{"question":%q,"conversation_key":"talk"}`+"\n", q)
		} else {
			fmt.Fprintf(&b, `{"question":%q}`+"\n", q)
		}
	}
	return b.String(), questions
}

var ErrStopped = errors.New("stopped by the test")

// Open writes content to a file of that name and opens it with a default bot.
func Open(t testing.TB, name, content string, o input.Options) *input.Input {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.BotID == "" {
		o.BotID = "bot"
	}
	in, err := input.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

func Gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func Chinese(t testing.TB, text string) string {
	t.Helper()
	s, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// XLSX makes a workbook of rows on its first sheet, and of what more does.
func XLSX(t testing.TB, rows [][]any, more func(f *excelize.File)) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, row := range rows {
		cell, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := f.SetSheetRow("Sheet1", cell, &row); err != nil {
			t.Fatal(err)
		}
	}
	if more != nil {
		more(f)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func WithStop(t testing.TB) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, func() { cancel(ErrStopped) }
}

// Anonymous takes out what differs from run to run: the run's name and the times.
func Anonymous(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for {
			i := strings.Index(line, `,"created_at":`)
			if i < 0 {
				break
			}
			line = line[:i] + line[strings.LastIndexByte(line, '}'):]
		}
		b.WriteString(line)
	}
	out := b.String()
	if _, after, ok := strings.Cut(out, "own "); ok {
		out = strings.ReplaceAll(out, after[:10], "RUN")
	}
	return out
}

// Ran asks a file's questions and returns the output's path.
func Ran(t *testing.T, file, content, output string, o input.Options) string {
	t.Helper()
	l, _ := NewLine(t, redistest.Embedded(t), NewBook())
	path := filepath.Join(t.TempDir(), output)
	if _, err := l.NewJob(Open(t, file, content, o), path).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	Alone(t, path)
	return path
}
