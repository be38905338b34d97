package worker_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

// private is what people write and bots say in these tests; none of its pieces of
// privatePiece bytes comes about by chance, in base64 either.
const (
	private      = "Geheim-Q7xw2Kd9Vr4Tn6Yb1Mc8"
	privatePiece = 9
)

// theKeys are keys of these ids, the first of which encrypts.
func theKeys(t *testing.T, ids ...string) *results.Keys {
	t.Helper()
	var file strings.Builder
	for _, id := range ids {
		key := keyOf(id)
		file.WriteString(id + ":" + base64.StdEncoding.EncodeToString(key[:]) + "\n")
	}
	keys, err := results.ParseKeys([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// keyOf is the key of this id: the same id, the same key.
func keyOf(id string) [32]byte { return sha256.Sum256([]byte("the key " + id)) }

// keyShown tells the first of texts that holds a piece of a key, in any form that a
// program is likely to show it in.
func keyShown(texts []string, id string) string {
	key := keyOf(id)
	forms := []string{string(key[:]), base64.StdEncoding.EncodeToString(key[:]), hex.EncodeToString(key[:]), fmt.Sprint(key[:])}
	for _, text := range texts {
		for _, form := range forms {
			for at := range len(form) - 12 + 1 {
				if strings.Contains(text, form[at:at+12]) {
					return text
				}
			}
		}
	}
	return ""
}

// confidential is a line with questions of every kind, all of which say private.
type confidential struct {
	*line
	ids     map[string]string // by kind
	batches *batches.Client
	output  string
}

func chatAbout(what string) *tasks.Chat {
	chat := tasks.Ask("bot", private+" "+what)
	chat.AdditionalMessages[0].MetaData = map[string]string{"note": private}
	chat.CustomVariables = map[string]string{"name": private}
	chat.Parameters = map[string]json.RawMessage{"p": json.RawMessage(`"` + private + `"`)}
	chat.ExtraParams = map[string]string{"e": private}
	chat.MetaData = map[string]string{private: private}
	return chat
}

func longQuestion(what string) string { return what + strings.Repeat(" "+private+" und mehr", 100) }

func (c *confidential) put(kind string, chat *tasks.Chat, o tasks.Options) {
	c.t.Helper()
	o.Attempts = 2
	c.ids[kind] = c.enqueue(chat, o)
}

// askAll has a question of every kind asked, and returns when all have ended.
func (c *confidential) askAll() {
	t := c.t
	t.Helper()
	short := chatAbout("short")
	c.put("short", short, tasks.Options{})
	long := chatAbout(longQuestion("long"))
	long.Stream = true
	c.put("long", long, tasks.Options{})
	for _, turn := range []string{"turn 1", "turn 2"} {
		chat := chatAbout(turn)
		chat.ConversationKey = "talk"
		c.put(turn, chat, tasks.Options{})
	}
	again := chatAbout("again")
	again.Stream = true
	c.put("again", again, tasks.Options{})
	c.put("failed", chatAbout("refused"), tasks.Options{})
	c.put("failed long", chatAbout(longQuestion("refused")), tasks.Options{})
	c.put("failed inside", chatAbout("broken"), tasks.Options{})

	later := chatAbout("later")
	c.put("canceled", later, tasks.Options{Queue: "unserved"})
	if _, err := c.tasks.Cancel(t.Context(), c.ids["canceled"]); err != nil {
		t.Fatal(err)
	}

	rows := make([]batches.Row, 3)
	for i, what := range []string{"row", longQuestion("row"), "refused"} {
		rows[i] = batches.Row{N: i + 1, CustomID: fmt.Sprint("c", i+1), Columns: []string{private}, Chat: chatAbout(what)}
		c.ids[fmt.Sprint("row ", i+1)] = batches.TaskID("b1", i+1, 1)
	}
	b := batches.Spec{ID: "b1", Name: "file.csv", Rows: len(rows), Format: "csv", BotID: "bot", Columns: []string{private}, Shape: `{"id":"` + private + `"}`, Attempts: 1}
	if _, _, err := c.batches.Create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := c.batches.Add(t.Context(), "b1", rows); err != nil {
		t.Fatal(err)
	}
	for _, id := range c.ids {
		c.wait(id)
	}
	awaittest.Until(t, "the batch has ended", func() bool {
		b, err := c.batches.Get(t.Context(), "b1")
		return err == nil && b.Counts.Open() == 0
	})
	if n, err := c.batches.Retry(t.Context(), "b1", batches.RetryOptions{Want: func(int, *results.Result) bool { return true }}); err != nil || n != 1 {
		t.Fatalf("retried %d rows, %v", n, err)
	}
	c.ids["row 3 again"] = batches.TaskID("b1", 3, 2)
	c.wait(c.ids["row 3 again"])
	c.run()
}

// run has a file asked as cozeq run --redis does.
func (c *confidential) run() {
	t := c.t
	t.Helper()
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	lines := `{"custom_id":"1","question":"` + private + ` run"}` + "\n" + `{"custom_id":"2","question":"` + longQuestion("run") + `"}` + "\n"
	if err := os.WriteFile(in, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	questions, err := input.Open(in, input.Options{BotID: "bot"})
	if err != nil {
		t.Fatal(err)
	}
	defer questions.Close()
	c.output = filepath.Join(dir, "out.jsonl")
	job := &filerun.Job{
		Input: questions, Output: c.output, Tasks: c.tasks, Results: c.store,
		Conversations: conversation.New(c.rdb), Batches: runbatch.New(c.tasks),
	}
	sum, err := job.Run(t.Context())
	if err != nil || sum.Answered != 2 {
		t.Fatalf("run: %+v, %v", sum, err)
	}
}

// rules have some questions fail, in words that repeat what was asked.
func rules() []cozetest.Rule {
	msg := "cannot answer " + private
	return []cozetest.Rule{
		{Contains: "refused", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4010, Msg: msg}},
		{Contains: "broken", Fault: cozetest.Fault{Kind: cozetest.Fail, Code: 4010, Msg: msg, After: 4}},
		{Contains: "again", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Fail, Code: 5000, Msg: msg, After: 4}},
		{Contains: "paused", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4100, Msg: msg}},
	}
}

// places finds where private, or a piece of it, stands.
func places(texts []string) map[string]string {
	found := make(map[string]string)
	for _, text := range texts {
		place, _, _ := strings.Cut(text, " ")
		if place == "key" {
			name := strings.Fields(text)[1]
			kind, _, _ := strings.Cut(name, "{")
			place += " " + kind
			if i := strings.LastIndex(name, "}:"); i > 0 {
				rest, _, _ := strings.Cut(name[i+2:], ":")
				place += rest
			}
		}
		for at := range len(private) - privatePiece + 1 {
			if i := strings.Index(text, private[at:at+privatePiece]); i >= 0 {
				found[place] = text[max(0, i-300):min(len(text), i+100)]
				break
			}
		}
	}
	return found
}

func newConfidential(t *testing.T, keys *results.Keys) *confidential {
	// With every write in the append-only file also what was overwritten is seen.
	rdb := redistest.Start(t, redistest.AppendOnly("always")).Client()
	l := newLine(t, rdb, cozetest.With(cozetest.Config{
		FollowUps: 2, Answer: func(string) string { return "Antwort: " + private + " " + private },
	}), cozetest.WithRules(rules()...))
	l.store.Keys = keys
	return &confidential{line: l, ids: make(map[string]string), batches: batches.New(l.tasks)}
}

// TestEncryption has questions of every kind asked and dumps all of Redis, all that it
// ever wrote, and all that was published: nothing that people wrote or bots said stands
// there, and all of it can be read with the key, also after it has changed.
func TestEncryption(t *testing.T) {
	t.Parallel()
	everything := func(t *testing.T, keys *results.Keys) (*confidential, map[string]string) {
		c := newConfidential(t, keys)
		published := c.published()
		var logs bytes.Buffer
		reg := prometheus.NewRegistry()
		stop := c.work(func(cfg *worker.Config) {
			cfg.Keys, cfg.Metrics = keys, worker.NewMetrics(reg)
			cfg.Logger = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg.Logger.Debug("configured", "config", *cfg, "store", c.store, "keys", keys)
		})
		c.askAll()
		paused := c.enqueue(chatAbout("paused"), tasks.Options{})
		awaittest.Until(t, "the pause", func() bool { p := c.paused(); return len(p) == 1 && c.queue().Paused })
		all := c.everyKey()
		if _, err := worker.ProbeNow(t.Context(), c.rdb); err != nil {
			t.Fatal(err)
		}
		c.wait(paused)
		stop()
		all = append(all, c.everyKey()...)
		all = append(all, c.written()...)
		all = append(all, published()...)
		if shown := keyShown(append(c.left(nil, reg), append(all, logs.String())...), "k1"); shown != "" {
			t.Errorf("a piece of the key stands in %.1000q", shown)
		}
		return c, places(all)
	}
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		_, found := everything(t, nil)
		// What the test with a key would find, if there were anything.
		for _, place := range []string{"key cozeq:result:", "key cozeq:body:", "key cozeq:deltas:", "key asynq:t", "key cozeq:batch:", "key cozeq:pause:", "file", "channel"} {
			if found[place] == "" {
				t.Errorf("nothing in %s; there is something in %q", place, slices.Sorted(maps.Keys(found)))
			}
		}
	})
	t.Run("on", func(t *testing.T) {
		t.Parallel()
		c, found := everything(t, theKeys(t, "k1"))
		for place, text := range found {
			t.Errorf("%s: %q", place, text)
		}
		c.readable(theKeys(t, "k1"))
		c.readable(theKeys(t, "k2", "k1")) // rotated
		c.unreadable(nil)
		c.unreadable(theKeys(t, "k2"))
		rows, err := c.rdb.HGetAll(t.Context(), "cozeq:batch:{b1}:rows").Result()
		if err != nil || !seal.Is(rows["0"]) { // which no search would find, as it is compressed
			t.Errorf("rows %.40q, %v", rows["0"], err)
		}
	})
}

// everyKey is what every key of Redis holds.
func (l *line) everyKey() (texts []string) {
	l.t.Helper()
	return slices.DeleteFunc(l.left(nil, prometheus.NewRegistry()), func(text string) bool { return !strings.HasPrefix(text, "key ") })
}

// readable checks that all can be read with keys.
func (c *confidential) readable(keys *results.Keys) {
	t := c.t
	t.Helper()
	store := results.NewStore(c.rdb)
	store.Keys = keys
	defer store.Close()
	for kind, id := range c.ids {
		r, err := store.Wait(t.Context(), id)
		if err != nil || r.Sealed != nil {
			t.Fatalf("%s with %v: %v, %+v", kind, keys, err, r)
		}
		switch r.Status {
		case results.Completed:
			if !strings.Contains(r.Answer, private) || len(r.FollowUps) != 2 || seal.Is(r.FollowUps[0]) {
				t.Errorf("%s with %v: %+v", kind, keys, r)
			}
		case results.Failed:
			if !strings.Contains(r.Error.Message, private) || r.Error.Code != 4010 {
				t.Errorf("%s with %v: %+v", kind, keys, r.Error)
			}
		}
	}
	text := ""
	for piece, err := range tasks.NewClient(store).Stream(t.Context(), c.ids["again"]) {
		if err != nil {
			t.Fatal(err)
		}
		if piece.Restart {
			text = ""
		}
		text += piece.Text
	}
	if !strings.Contains(text, private) {
		t.Errorf("deltas with %v: %q", keys, text)
	}
	bs := batches.New(tasks.NewClient(store))
	b, err := bs.Get(t.Context(), "b1")
	if err != nil || b.Sealed != nil || b.Columns[0] != private || !strings.Contains(b.Shape, private) {
		t.Errorf("with %v: %+v, %v", keys, b, err)
	}
	for row, err := range bs.Rows(t.Context(), "b1") {
		if err != nil {
			t.Fatal(err)
		}
		if err := bs.Complete(t.Context(), "b1", []batches.Row{row}); err != nil {
			t.Fatal(err)
		}
		if row.Columns[0] != private || !strings.Contains(row.Chat.AdditionalMessages[0].Content, private) {
			t.Errorf("with %v: %+v %+v", keys, row, row.Chat)
		}
	}
	out, err := os.ReadFile(c.output)
	if err != nil || strings.Count(string(out), "Antwort: "+private) != 2 {
		t.Errorf("the run's output, %v: %s", err, out)
	}
}

// unreadable checks what somebody without the right key gets: everything but texts.
func (c *confidential) unreadable(keys *results.Keys) {
	t := c.t
	t.Helper()
	store := results.NewStore(c.rdb)
	store.Keys = keys
	defer store.Close()
	r, err := store.Wait(t.Context(), c.ids["short"])
	if err != nil || r.Sealed == nil || r.Sealed.KeyID != "k1" || r.Sealed.Held || r.Status != results.Completed || r.Usage == nil || r.BotID != "bot" {
		t.Fatalf("with %v: %+v, %v", keys, r, err)
	}
	if clean := r.Readable(); clean.Answer != "" || clean.FollowUps != nil || clean.ChatID == "" {
		t.Errorf("with %v: %+v", keys, clean)
	}
	r, err = store.Get(t.Context(), c.ids["failed"])
	if err != nil || r.Error.Code != 4010 || r.Error.Class != "permanent" || !seal.Is(r.Error.Message) {
		t.Errorf("with %v: %+v, %v", keys, r, err)
	}
	bs := batches.New(tasks.NewClient(store))
	b, err := bs.Get(t.Context(), "b1")
	if err != nil || b.Sealed == nil || b.Counts.Completed != 2 {
		t.Errorf("with %v: %+v, %v", keys, b, err)
	}
	for _, err := range bs.Rows(t.Context(), "b1") {
		if sealed, ok := errors.AsType[*results.SealedError](err); !ok || sealed.KeyID != "k1" {
			t.Errorf("with %v: %v", keys, err)
		}
	}
	for _, err := range tasks.NewClient(store).Stream(t.Context(), c.ids["long"]) {
		if _, ok := errors.AsType[*results.SealedError](err); !ok {
			t.Errorf("with %v: %v", keys, err)
		}
	}
}

// A worker without the key asks nothing and ends nothing: the question waits, says why,
// and is answered by a worker that has the key.
func TestQuestionWaitsForTheKey(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]*results.Keys{"no key": nil, "another key": theKeys(t, "k2")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				l := newLine(t, rdb)
				l.store.Keys = theKeys(t, "k1")
				l.work(func(c *worker.Config) { c.Keys = wrong })
				chats := map[string]*tasks.Chat{"short": tasks.Ask("bot", "why?"), "long": tasks.Ask("bot", longQuestion("why?")), "turn": tasks.Ask("bot", "and?")}
				chats["turn"].ConversationKey = "talk"
				ids := map[string]string{}
				for kind, chat := range chats {
					ids[kind] = l.enqueue(chat, tasks.Options{Attempts: 1})
				}
				for kind, id := range ids {
					awaittest.Until(t, kind+" waits", func() bool {
						r, err := l.store.Get(t.Context(), id)
						return err == nil && r.Status == results.Waiting && r.Error != nil
					})
					r, err := l.store.Get(t.Context(), id)
					if err != nil || r.Error == nil {
						continue // it is looked at again just now
					}
					if r.Error.Class != "auth" || !strings.Contains(r.Error.Message, "encrypted with key k1: set COZEQ_ENCRYPTION_KEY_FILE") || r.Attempts != 0 {
						t.Errorf("%s: %+v %+v", kind, r, r.Error)
					}
				}
				if n := l.fake.Accepted(); n != 0 {
					t.Errorf("%d questions were asked", n)
				}
				l.work(func(c *worker.Config) { c.Keys = theKeys(t, "k2", "k1") })
				for kind, id := range ids {
					if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate {
						t.Errorf("%s: %+v %+v", kind, r, r.Error)
					}
				}
				if n := l.fake.Accepted(); n != len(ids) {
					t.Errorf("%d questions were asked, want %d", n, len(ids))
				}
			})
		})
	}
}

// What was never asked ends without the key, if somebody wants it to or its time is over.
func TestUnreadQuestionEnds(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.store.Keys = theKeys(t, "k1")
	l.work()
	late := tasks.Ask("bot", "too late?")
	late.ExpiresAt = time.Now().Add(-time.Minute)
	if r := l.wait(l.enqueue(late, tasks.Options{})); r.Status != results.Expired {
		t.Errorf("got %+v", r)
	}
	id := l.enqueue(tasks.Ask("bot", "never mind"), tasks.Options{})
	awaittest.Until(t, "it waits", func() bool {
		r, err := l.store.Get(t.Context(), id)
		return err == nil && r.Status == results.Waiting
	})
	if _, err := l.tasks.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r := l.wait(id); r.Status != results.Canceled || r.Error.Message != "canceled before it was asked" && r.Error.Message != "canceled on request" {
		t.Errorf("got %+v %+v", r, r.Error)
	}
	if n := l.fake.Accepted(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

// Tasks from before there was a key, and those of producers that have none, are answered
// beside the others; their answers are encrypted.
func TestMixedQueue(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	before := l.enqueue(tasks.Ask("bot", "before"), tasks.Options{})
	beforeLong := l.enqueue(tasks.Ask("bot", longQuestion("before")), tasks.Options{})
	l.store.Keys = theKeys(t, "k1")
	after := l.enqueue(tasks.Ask("bot", "after"), tasks.Options{})
	l.work(func(c *worker.Config) { c.Keys = theKeys(t, "k1") })
	for _, id := range []string{before, beforeLong, after} {
		if r := l.wait(id); r.Status != results.Completed || r.Sealed != nil || r.Answer == "" {
			t.Errorf("got %+v", r)
		}
		if answer := l.rdb.HGet(t.Context(), results.Key(id), "answer").Val(); !seal.Is(answer) {
			t.Errorf("the answer stands in Redis as %q", answer)
		}
	}
}

// A payload or a body in the place of another task's is not asked.
func TestSwappedQuestion(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	l := newLine(t, rdb)
	keys := theKeys(t, "k1")
	l.store.Keys = keys
	mine := l.enqueue(tasks.Ask("bot", longQuestion("mine")), tasks.Options{})
	yours := l.enqueue(tasks.Ask("bot", longQuestion("yours")), tasks.Options{})
	body := rdb.Get(t.Context(), results.BodyKey(yours)).Val()
	if err := rdb.Set(t.Context(), results.BodyKey(mine), body, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(tasks.QueueDefault, yours)
	if err != nil {
		t.Fatal(err)
	}
	chat, err := tasks.Decode(info.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, ok := errors.AsType[*results.SealedError](chat.Open(keys, mine)); !ok || !sealed.Held {
		t.Errorf("another task's payload opens: %v", sealed)
	}
	l.work(func(c *worker.Config) { c.Keys = keys })
	l.completed(yours)
	awaittest.Until(t, "it waits", func() bool {
		r, err := l.store.Get(t.Context(), mine)
		return err == nil && r.Status == results.Waiting && r.Error != nil && strings.Contains(r.Error.Message, "does not open it")
	})
	if n := l.fake.Accepted(); n != 1 {
		t.Errorf("%d questions were asked, want 1", n)
	}
}

// Of an answer that is longer than the limit the first part is kept, cut between two characters.
func TestLongestAnswer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("8 MiB through everything")
	}
	l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{
		Answer: func(string) string { return strings.Repeat("好", 8<<20/3+1000) },
	}))
	l.work()
	r := l.ask("tell me everything")
	if r.Status != results.Failed || len(r.Answer) < 7<<20 || len(r.Answer) > 8<<20 || strings.Trim(r.Answer, "好") != "" {
		t.Errorf("%s, %d bytes, %+v", r.Status, len(r.Answer), r.Error)
	}
}
