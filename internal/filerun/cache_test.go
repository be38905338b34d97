package filerun_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

func openCache(t testing.TB, dir string, ttl time.Duration) *answercache.Cache {
	t.Helper()
	c, err := answercache.Open(dir, "here", ttl)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cachedRun runs an input with a cache, on a line of its own.
func cachedRun(t *testing.T, b *filetest.Book, content, dir string, ttl time.Duration, set func(*filetest.Line, *filerun.Job)) (progress.Summary, []results.Result) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	s, err := once(t, b, filetest.Open(t, "q.jsonl", content, input.Options{}), path, func(l *filetest.Line, j *filerun.Job) {
		j.Cache = openCache(t, dir, ttl)
		if set != nil {
			set(l, j)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, filetest.Records(t, path)
}

const same = `{"question":"one","user_id":"a"}
{"question":"one","user_id":"b"}
{"question":"two"}
{"question":"one","conversation_key":"k"}
{"question":"one","conversation_id":"c"}
{"question":"one","bot_id":"other"}
{"question":"one","custom_variables":{"x":"y"}}
{"question":"one","parameters":{"p":{"a":1,"b":2}}}
{"question":"one","parameters":{"p":{"b":2, "a":1}}}
{"question":"two"}
`

// TestCache asks what is the same once in a run, and never again in the next one; turns of a conversation are asked each
// time.
func TestCache(t *testing.T) {
	b, dir := filetest.NewBook(), filepath.Join(t.TempDir(), "cache")
	s, records := cachedRun(t, b, same, dir, 0, nil)
	if s.Asked != 7 || s.Cached != 3 || s.Answered != 10 || s.Tokens != 35 || b.Asked()["one"] != 6 || b.Asked()["two"] != 1 {
		t.Errorf("%+v, asked %v", s, b.Asked())
	}
	for i, r := range records {
		want := i == 1 || i == 8 || i == 9
		if r.Cached != want || (r.Usage == nil) != want || r.Answer == "" || r.Status != results.Completed || r.CompletedAt.IsZero() {
			t.Errorf("record %d: %+v", i+1, r)
		}
	}
	s, records = cachedRun(t, b, same, dir, 0, nil)
	if s.Asked != 2 || s.Cached != 8 || s.Tokens != 10 {
		t.Errorf("again: %+v", s)
	}
	for i, r := range records {
		if want := i != 3 && i != 4; r.Cached != want || r.CustomID == "" {
			t.Errorf("again: record %d: %+v", i+1, r)
		}
	}
	if size := openCache(t, dir, 0).Size(t.Context()); size.Answers != 5 || size.Bytes < 500 || size.More {
		t.Errorf("size %+v", size)
	}
}

// TestCacheOfElsewhere is not that of here, though the bot's id is the same.
func TestCacheOfElsewhere(t *testing.T) {
	b, dir := filetest.NewBook(), t.TempDir()
	cachedRun(t, b, `{"question":"one"}`, dir, 0, nil)
	s, _ := cachedRun(t, b, `{"question":"one"}`, dir, 0, func(_ *filetest.Line, j *filerun.Job) {
		var err error
		if j.Cache, err = answercache.Open(dir, "there", 0); err != nil {
			t.Fatal(err)
		}
	})
	if s.Asked != 1 || s.Cached != 0 {
		t.Errorf("%+v", s)
	}
}

// TestCacheKeepsAnswersOnly: a question that failed is asked again, and its twin in the same run is asked itself.
func TestCacheKeepsAnswersOnly(t *testing.T) {
	content := strings.Repeat(`{"question":"bad"}`+"\n", 3) + `{"question":"good"}`
	b, dir := filetest.NewBook(), t.TempDir()
	s, _ := cachedRun(t, b, content, dir, 0, func(l *filetest.Line, j *filerun.Job) {
		l.Fails = func(q string) bool { return q == "bad" }
		j.Window = 1 // those that wait for a twin must not stand in its way
	})
	if s.Failed != 3 || s.Asked != 4 || b.Asked()["bad"] != 3 {
		t.Errorf("%+v, asked %v", s, b.Asked())
	}
	s, _ = cachedRun(t, b, content, dir, 0, nil)
	if s.Asked != 1 || s.Cached != 3 || b.Asked()["bad"] != 4 || b.Asked()["good"] != 1 {
		t.Errorf("again: %+v, asked %v", s, b.Asked())
	}
}

func TestCacheGrowsOld(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := filetest.NewBook()
		cachedRun(t, b, `{"question":"one"}`, dir, 0, nil)
		for _, tt := range []struct {
			after time.Duration
			asked int
		}{{8 * time.Second, 0}, {4 * time.Second, 1}, {8 * time.Second, 0}} {
			time.Sleep(tt.after) // the bubble's time
			if s, _ := cachedRun(t, b, `{"question":"one"}`, dir, 10*time.Second, nil); s.Asked != tt.asked {
				t.Errorf("after %v more: %+v", tt.after, s)
			}
		}
		time.Sleep(time.Minute)
		if s, _ := cachedRun(t, b, `{"question":"one"}`, dir, 0, nil); s.Asked != 0 {
			t.Errorf("for ever: %+v", s)
		}
	})
}

// TestCacheAndBudget: what the cache answers costs nothing, so it is answered behind the end of a budget, too.
func TestCacheAndBudget(t *testing.T) {
	dir := t.TempDir()
	b := filetest.NewBook()
	cachedRun(t, b, `{"question":"known"}`, dir, 0, nil)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	l.Fails = func(q string) bool { return q == "bad" }
	content := strings.Repeat(`{"question":"bad"}`+"\n", 4) + `{"question":"known"}`
	s, e := budgetRun(t, l, content, filepath.Join(t.TempDir(), "a.jsonl"), func(j *filerun.Job) {
		j.Cache, j.MaxQuestions = openCache(t, dir, 0), 2
	})
	if e == nil || s.Failed != 2 || s.Cached != 1 || b.Asked()["bad"] != 2 {
		t.Errorf("%+v, %v, asked %v", s, e, b.Asked())
	}
}

// TestTwinsInABoundedWindow: rows that wait for their twin are not many more than the window, however many there are.
func TestTwinsInABoundedWindow(t *testing.T) {
	content := strings.Repeat(`{"question":"one"}`+"\n", 500) + strings.Repeat(`{"question":"two"}`+"\n", 500)
	b := filetest.NewBook()
	most := 0
	s, records := cachedRun(t, b, content, t.TempDir(), 0, func(_ *filetest.Line, j *filerun.Job) {
		j.Window = 8
		j.OnRecord = func(*input.Row, *results.Result) { most = max(most, j.Snapshot().Enqueued) }
	})
	if s.Asked != 2 || s.Cached != 998 || len(records) != 1000 {
		t.Errorf("%+v", s)
	}
	if most > 3*8 {
		t.Errorf("%d rows were held, with a window of 8", most)
	}
}

// TestCacheOfTwoRuns has two runs over the same questions at a time: neither sees half an answer of the other.
func TestCacheOfTwoRuns(t *testing.T) {
	content, questions := filetest.Quiz(40)
	content = strings.ReplaceAll(content, `,"conversation_key":"talk"`, "")
	dir := t.TempDir()
	for _, name := range []string{"one", "other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, records := cachedRun(t, filetest.NewBook(), content, dir, 0, nil)
			for i, r := range records {
				if r.Answer != "re: "+questions[i] {
					t.Errorf("%q: %q", questions[i], r.Answer)
				}
			}
		})
	}
}

// TestCacheMadeByMany has many make the same cache at a moment: it is everyone's.
func TestCacheMadeByMany(t *testing.T) {
	for range 200 {
		dir := t.TempDir()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := answercache.Open(dir, "here", 0); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// A directory that is something else is left alone.
func TestCacheNeedsItsOwnDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := answercache.Open(dir, "here", 0); err == nil || !strings.Contains(err.Error(), "is not empty, and no cache") {
		t.Errorf("a directory with files: %v", err)
	}
	if _, err := answercache.Open(file, "here", 0); err == nil {
		t.Error("a file was taken for a directory")
	}
	if there, _ := os.ReadDir(dir); len(there) != 1 {
		t.Errorf("strewn: %v", there)
	}
}

// cacheFile is the one answer in a cache.
func cacheFile(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "??", "??", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	return files[0]
}

// TestCacheDamaged breaks an answer's file in each byte: it is as good as not there, and asked again.
func TestCacheDamaged(t *testing.T) {
	dir := t.TempDir()
	const content = `{"question":"one"}`
	cachedRun(t, filetest.NewBook(), content, dir, 0, nil)
	file := cacheFile(t, dir)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitN(string(whole), "\n", 2)
	var head map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &head); err != nil {
		t.Fatal(err)
	}
	head["version"] = 2
	newer, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(strings.Replace(string(whole), "re: one", "re: two", 1))
	for name, damaged := range map[string][]byte{
		"empty": nil, "half": whole[:len(whole)/2], "one line": []byte(lines[0]), "another answer": flipped,
		"of a later program": append(append(newer, '\n'), lines[1]...), "something else": []byte("[]\n[]"),
	} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, records := cachedRun(t, filetest.NewBook(), content, dir, 0, nil)
		if s.Asked != 1 || records[0].Answer != "re: one" {
			t.Errorf("%s: %+v", name, s)
		}
		if mended, err := os.ReadFile(file); err != nil || string(mended) == string(damaged) {
			t.Errorf("%s: not replaced: %v", name, err)
		}
	}
}

// TestCacheFull cannot be written: the run goes on, and says so.
func TestCacheFull(t *testing.T) {
	dir := t.TempDir()
	var cache *answercache.Cache
	s, _ := cachedRun(t, filetest.NewBook(), `{"question":"one"}`, dir, 0, func(_ *filetest.Line, j *filerun.Job) {
		cache = j.Cache
		// Where files are made before they are put into place there is no directory any more.
		if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tmp"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if s.Answered != 1 || cache.Err() == nil {
		t.Errorf("%+v, %v", s, cache.Err())
	}
}
