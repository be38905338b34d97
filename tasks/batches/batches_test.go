package batches_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

type file struct{ *tasktest.Batch }

func newFile(l *tasktest.Line, id string) *file { return &file{tasktest.NewBatch(l, id)} }

// create makes the batch; change says what is not as usual.
func (f *file) create(rows int, change ...func(*batches.Spec)) *batches.Status {
	f.T.Helper()
	b := batches.Spec{ID: f.ID, Name: "questions.csv", Rows: rows, SHA256: "abc", Format: "csv", BotID: "bot", Columns: []string{"topic"}}
	for _, c := range change {
		c(&b)
	}
	there, created, err := f.Create(f.T.Context(), b)
	if err != nil || !created {
		f.T.Fatalf("create: %v, %v", created, err)
	}
	return there
}

// rows are those from first to last.
func rows(first, last int, change ...func(*batches.Row)) []batches.Row {
	var all []batches.Row
	for n := first; n <= last; n++ {
		row := batches.Row{N: n, CustomID: fmt.Sprint("row ", n), Columns: []string{fmt.Sprint("topic ", n)}, Chat: tasks.Ask("bot", fmt.Sprint("question ", n))}
		for _, c := range change {
			c(&row)
		}
		all = append(all, row)
	}
	return all
}

func (f *file) add(all []batches.Row) {
	f.T.Helper()
	for chunk := range slices.Chunk(all, batches.ChunkRows) {
		f.Must(f.Add(f.T.Context(), f.ID, chunk))
	}
}

func wantAll(int, *results.Result) bool { return true }

func TestBatchLife(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		const n = batches.ChunkRows + 3
		b := f.create(n)
		if b.Counts != (batches.Counts{Total: n, Queued: n}) || b.CreatedAt.IsZero() || b.Keep != batches.DefaultKeep || b.Queue != "default" {
			t.Errorf("a new one is %+v", b)
		}
		again, created, err := f.Create(ctx, batches.Spec{ID: "b", Rows: 1, SHA256: "other"})
		if err != nil || created || again.Rows != n || again.SHA256 != "abc" {
			t.Errorf("created again: %+v, %v, %v", again, created, err)
		}
		long := strings.Repeat("长", 2000)
		all := rows(1, n, func(r *batches.Row) {
			if r.N == 2 {
				r.Chat.AdditionalMessages[0].Content = long
			}
		})
		f.add(all)
		f.add(all[:batches.ChunkRows]) // a submission that goes on where it had been cut off
		f.Must(f.Submitted(ctx, "b"))
		b = f.Read()
		if b.Enqueued != n || b.SubmittedAt.IsZero() || b.Counts.Queued != n {
			t.Errorf("submitted it is %+v", b)
		}
		if got := f.Pending(); len(got) != n || got[0] != "b-1" || got[n-1] != fmt.Sprint("b-", n) {
			t.Errorf("%d tasks, from %s", len(got), got[0])
		}
		r, err := f.Store.Get(ctx, "b-253")
		if err != nil || r.BatchID != "b" || r.CustomID != "row 253" || r.Queue != "default" {
			t.Errorf("record %+v, %v", r, err)
		}

		read := 0
		for row, err := range f.Rows(ctx, "b") {
			f.Must(err)
			want := &all[read]
			read++
			if row.N != want.N || row.CustomID != want.CustomID || !slices.Equal(row.Columns, want.Columns) || row.Attempt != 1 || row.TaskID("b") != fmt.Sprint("b-", row.N) {
				t.Fatalf("row %+v, want %+v", row, want)
			}
			if row.N == 2 {
				if !row.Chat.HasBody() {
					t.Error("the long question is kept twice")
				}
				one := []batches.Row{row}
				f.Must(f.Complete(ctx, "b", one))
			}
			if got := row.Chat.AdditionalMessages[0].Content; got != want.Chat.AdditionalMessages[0].Content {
				t.Errorf("row %d asks %.40q", row.N, got)
			}
		}
		if read != n {
			t.Errorf("%d rows", read)
		}

		for row := 2; row <= n; row++ {
			f.End(row, results.Completed)
		}
		if b := f.Read(); b.Counts != (batches.Counts{Total: n, Queued: 1, Completed: n - 1}) || !b.EndedAt.IsZero() {
			t.Errorf("before the last one %+v", b)
		}
		f.End(1, results.Failed)
		b = f.Read()
		if b.EndedAt.IsZero() || b.Tokens != (results.Usage{TokenCount: 12 * n, OutputCount: 10 * n, InputCount: 2 * n}) ||
			!slices.Equal(b.Failures, []batches.FailureCount{{Class: "rate", Code: 4013, Count: 1}}) {
			t.Errorf("it has ended as %+v", b)
		}
		// The last one's end sets the lives of the batch, the sweep those of its results.
		near := func(key string, want time.Duration) {
			t.Helper()
			if got := f.Redis.TTL(ctx, key).Val(); got > want || got < want-time.Minute {
				t.Errorf("%s is kept for %v, want %v", key, got, want)
			}
		}
		for _, key := range []string{"cozeq:batch:{b}", "cozeq:batch:{b}:states", "cozeq:batch:{b}:rows"} {
			near(key, batches.DefaultKeep)
		}
		near("cozeq:result:{b-7}", 30*24*time.Hour)
		f.Must(tally.New(f.Redis).Sweep(ctx))
		for _, key := range []string{"cozeq:result:{b-1}", "cozeq:result:{b-253}", "cozeq:body:{b-2}"} {
			near(key, batches.DefaultKeep)
		}

		if all, err := f.List(ctx); err != nil || len(all) != 1 || all[0].ID != "b" {
			t.Errorf("list %v, %v", all, err)
		}
		f.Must(f.Redis.Del(ctx, "cozeq:batch:{b}", "cozeq:batch:{b}:states").Err())
		if all, err := f.List(ctx); err != nil || len(all) != 0 {
			t.Errorf("list %v, %v", all, err)
		}
		f.Must(tally.New(f.Redis).Sweep(ctx))
		if n := f.Redis.ZCard(ctx, "cozeq:batches").Val(); n != 0 {
			t.Error("the sweep did not forget it")
		}
		if _, err := f.Get(ctx, "b"); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if _, err := f.Client.States(ctx, "b"); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		// Who is late does not bring half of it back.
		f.Must(tally.New(f.Redis).Mark(ctx, tally.Mark{Batch: "b", Row: 1, Attempt: 1, Status: results.Running}))
		if n := f.Redis.Exists(ctx, "cozeq:batch:{b}").Val(); n != 0 {
			t.Error("a late mark has made it again")
		}
	})
}

func TestBatchList(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for i, id := range []string{"b1", "b0", "b2"} { // made within one millisecond, most likely
			newFile(l, id).create(1)
			l.Must(l.Redis.ZIncrBy(t.Context(), "cozeq:batches", []float64{1000, 0, 2000}[i], id).Err())
		}
		all, err := newFile(l, "").List(t.Context())
		if err != nil || len(all) != 3 || all[0].ID != "b2" || all[2].ID != "b0" {
			t.Errorf("%v, %v", all, err)
		}
	})
}

func TestBatchInvalid(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		for _, b := range []batches.Spec{
			{ID: "", Rows: 1}, {ID: "a b", Rows: 1}, {ID: strings.Repeat("a", 181), Rows: 1}, {ID: "b"}, {ID: "b", Rows: 1 << 40},
			{ID: "b", Rows: 1, Keep: time.Millisecond}, {ID: "b", Rows: 1, Kind: "what"}, {ID: "b", Rows: 1, Queue: "{}"}, {ID: "b", Rows: 1, Attempts: -1},
		} {
			_, _, err := f.Create(ctx, b)
			if _, ok := errors.AsType[*tasks.InvalidError](err); !ok {
				t.Errorf("%+v: %v", b, err)
			}
		}
		if err := f.Add(ctx, "b", rows(1, 1)); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("no batch: %v", err)
		}
		f.create(300)
		tests := map[string][]batches.Row{
			"none":           nil,
			"half a chunk":   rows(1, 200),
			"not the first":  rows(2, 251),
			"two chunks":     rows(1, 300),
			"behind the end": rows(251, 301),
			"a gap":          append(rows(251, 270), rows(272, 300)...),
			"no question":    rows(1, 250, func(r *batches.Row) { r.Chat = nil }),
			"no message":     rows(1, 250, func(r *batches.Row) { r.Chat = &tasks.Chat{BotID: "bot"} }),
		}
		for name, all := range tests {
			err := f.Add(ctx, "b", all)
			if _, ok := errors.AsType[*tasks.InvalidError](err); !ok {
				t.Errorf("%s: %v", name, err)
			}
		}
		f.Must(f.Add(ctx, "b", rows(251, 300))) // in any order, though nobody does
		if err := f.Submitted(ctx, "nobody"); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBatchCancel(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		f.create(260)
		if err := newFile(l, "no").Cancel(ctx, "no", nil); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("no batch: %v", err)
		}
		f.add(rows(1, 250, func(r *batches.Row) {
			if r.N == 4 || r.N == 5 {
				r.Chat.ConversationKey = "talk"
			}
		}))
		f.End(1, results.Completed)
		f.End(2, results.Failed)
		running := f.Begin("b-3")
		var heard []int
		f.Must(f.Cancel(ctx, "b", func(done, total int) { heard = append(heard, done, total) }))
		if !slices.Equal(heard, []int{258, 258}) {
			t.Errorf("progress %v", heard)
		}
		b := f.Read()
		// Row 3 is canceled by its worker; 251 to 260 were never added.
		if b.Counts != (batches.Counts{Total: 260, Completed: 1, Failed: 1, Canceled: 257, Queued: 1}) || b.CanceledAt.IsZero() || !b.EndedAt.IsZero() {
			t.Errorf("%+v", b)
		}
		if requested, err := record.New(f.Store).CancelRequested(ctx, []string{"b-3"}); err != nil || len(requested) != 1 {
			t.Errorf("its worker is told %v, %v", requested, err)
		}
		f.Line.States("b-4", "none", "b-5", "none", "b-9", "none")
		f.Members()
		if err := f.Add(ctx, "b", rows(251, 260)); !errors.Is(err, batches.ErrCanceled) {
			t.Errorf("add: %v", err)
		}
		if err := f.Submitted(ctx, "b"); !errors.Is(err, batches.ErrCanceled) {
			t.Errorf("submitted: %v", err)
		}
		if r, err := f.Store.Get(ctx, "b-260"); err != nil || r.Status != results.Canceled || r.Error.Class != "canceled" || r.CompletedAt.IsZero() {
			t.Errorf("a row that was never added: %+v, %v", r, err)
		}
		running.Result.Status = results.Canceled
		f.Must(running.Finish(ctx, false))
		f.Must(tally.New(f.Redis).MarkResult(ctx, &running.Result))
		if b := f.Read(); b.Counts.Open() != 0 || b.EndedAt.IsZero() {
			t.Errorf("%+v", b)
		}
		f.Must(f.Cancel(ctx, "b", nil))
	})
}

// Somebody cancels between the look of who adds a chunk and its end, wherever that is:
// nothing of the chunk is left to be asked.
func TestBatchCancelWhileAdding(t *testing.T) {
	for step := 1; ; step++ {
		more := false
		t.Run(fmt.Sprint("after call ", step), func(t *testing.T) {
			s, err := embeddedredis.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			f := newFile(tasktest.New(t, s.Client()), "b")
			f.create(3)
			st := redistest.NewStage(f.Redis)
			defer st.Clear()
			var added error
			st.Enter("submitter", func(a *redistest.Actor) {
				added = batches.New(tasks.NewClient(results.NewStore(a.Redis))).Add(context.Background(), "b", rows(1, 3))
			})
			for range step {
				if len(st.Actors) > 0 {
					st.Step(st.Actors[0], redistest.Answered)
				}
			}
			more = len(st.Actors) > 0
			f.Must(f.Cancel(t.Context(), "b", nil))
			for len(st.Actors) > 0 {
				st.Step(st.Actors[0], redistest.Answered)
			}
			if more && !errors.Is(added, batches.ErrCanceled) {
				t.Errorf("add: %v", added)
			}
			f.Letters("XXX")
			for _, id := range f.Pending() { // one that could not be taken out is let go by its worker
				if s := f.Status(id); s != results.Canceled {
					t.Errorf("%s is %s", id, s)
				}
			}
		})
		if !more {
			break
		}
	}
}

func TestBatchRetry(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		f.create(6, func(b *batches.Spec) { b.ExpiresAt = time.Now().Add(time.Hour) })
		f.add(rows(1, 6, func(r *batches.Row) {
			if r.N == 2 {
				r.Chat.AdditionalMessages[0].Content = strings.Repeat("why? ", 1000)
			}
		}))
		for row, how := range []results.Status{results.Completed, results.Failed, results.Failed, results.Expired, results.Canceled, results.Completed} {
			f.End(row+1, how)
		}
		f.Letters("CFFEXC")
		f.Must(f.Store.Delete(ctx, "b-6")) // its answer is gone
		f.Must(f.Redis.HSet(ctx, results.Key("b-2"), "possible_duplicate", "true").Err())
		seen := map[int]results.Status{}
		o := batches.RetryOptions{Want: func(row int, r *results.Result) bool {
			seen[row] = r.Status
			return row != 3
		}, Lost: true, ExpiresAt: time.Now().Add(2 * time.Hour)}
		if n, err := f.Retryable(ctx, "b", o); err != nil || n != 4 {
			t.Errorf("it would ask %d, %v", n, err)
		}
		f.Letters("CFFEXC")
		if n, err := f.Retry(ctx, "b", o); err != nil || n != 4 {
			t.Errorf("it asks %d, %v", n, err)
		}
		if len(seen) != 5 || seen[6] != results.Completed || seen[4] != results.Expired {
			t.Errorf("offered %v", seen)
		}
		f.Letters("Cq2Fq2q2q2")
		b := f.Read()
		if !b.EndedAt.IsZero() || !slices.Equal(b.Failures, []batches.FailureCount{{Class: "rate", Code: 4013, Count: 1}}) {
			t.Errorf("%+v", b)
		}
		if ttl := f.Redis.TTL(ctx, "cozeq:batch:{b}").Val(); ttl < 29*24*time.Hour {
			t.Errorf("an open batch is kept for %v", ttl)
		}
		for _, row := range []int{2, 4, 5, 6} {
			id := batches.TaskID("b", row, 2)
			f.Line.States(id, "pending")
			r, err := f.Store.Get(ctx, id)
			f.Must(err)
			if r.PossibleDuplicate != (row == 2 || row == 6) {
				t.Errorf("row %d is a possible duplicate: %v", row, r.PossibleDuplicate)
			}
			info, err := f.Inspector.GetTaskInfo("default", id)
			f.Must(err)
			chat, err := tasks.Decode(info.Payload)
			f.Must(err)
			if left := time.Until(chat.ExpiresAt); left < time.Hour {
				t.Errorf("%s expires in %v", id, left)
			}
			if chat.HasBody() {
				a, err := record.New(f.Store).Begin(ctx, results.Result{ID: id}, true)
				f.Must(err)
				f.Must(chat.SetBody(a.Body))
			}
			if !strings.HasPrefix(chat.AdditionalMessages[0].Content, fmt.Sprint("question ", row)) != (row == 2) {
				t.Errorf("%s asks %.40q", id, chat.AdditionalMessages[0].Content)
			}
		}
		// The first ask comes too late to be heard.
		f.Must(tally.New(f.Redis).Mark(ctx, tally.Mark{Batch: "b", Row: 4, Attempt: 1, Status: results.Completed}))
		f.Letters("Cq2Fq2q2q2")
		if n, err := f.Retry(ctx, "b", batches.RetryOptions{Want: wantAll}); err != nil || n != 1 {
			t.Errorf("it asks %d more, %v", n, err)
		}
		for _, row := range []int{2, 3, 4, 5, 6} {
			f.End(row, results.Completed)
		}
		f.Letters("CC2C2C2C2C2")
		if b := f.Read(); b.EndedAt.IsZero() || len(b.Failures) != 0 || b.Tokens.TokenCount != 11*12 {
			t.Errorf("%+v", b)
		}
	})
}

// Rows that are not in Redis any more are told, and the others are asked.
func TestBatchRetryMissing(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		f.create(252)
		f.add(rows(1, 252, func(r *batches.Row) {
			if r.N == 252 {
				r.Chat.AdditionalMessages[0].Content = strings.Repeat("why? ", 1000)
			}
		}))
		for _, row := range []int{7, 251, 252} {
			f.End(row, results.Failed)
		}
		f.Must(f.Redis.HDel(ctx, "cozeq:batch:{b}:rows", "0").Err())
		f.Must(f.Redis.Del(ctx, "cozeq:body:{b-252}").Err())
		n, err := f.Retry(ctx, "b", batches.RetryOptions{Want: wantAll})
		missing, ok := errors.AsType[*batches.MissingRowsError](err)
		if n != 1 || !ok || missing.From != 1 || missing.To != 250 {
			t.Errorf("%d, %v", n, err)
		}
		if b := f.Read(); b.Counts.Failed != 2 || b.Counts.Queued != 250 {
			t.Errorf("%+v", b.Counts)
		}
		var told []string
		read := 0
		for _, err := range f.Rows(ctx, "b") {
			if err != nil {
				told = append(told, err.Error())
				continue
			}
			read++
		}
		if read != 2 || !slices.Equal(told, []string{"rows 1 to 250 of the batch are not in Redis"}) {
			t.Errorf("read %d, told %q", read, told)
		}
	})
}

// A turn that failed and holds its conversation up gives its place to its next ask.
func TestBatchRetryOfBlocking(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		f.create(3)
		f.add(rows(1, 3, func(r *batches.Row) { r.Chat.ConversationKey, r.Chat.OnTurnFailure = "talk", tasks.TurnBlock }))
		f.Take("b-1")
		f.End(1, results.Failed)
		f.Leave("b-1", "archived", time.Now())
		f.Members("b-1", "b-2", "b-3")
		if n, err := f.Retry(ctx, "b", batches.RetryOptions{Want: wantAll}); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
		f.Members("b-1.2", "b-2", "b-3")
		f.Line.States("b-1", "none", "b-1.2", "pending", "b-2", "far")
		f.Take("b-1.2")
		f.End(1, results.Failed)
		f.Leave("b-1.2", "archived", time.Now())
		f.Must(f.Cancel(ctx, "b", nil))
		f.Letters("F2XX")
		f.Members() // whoever comes after the batch in this conversation is not held up
	})
}

// A Retry that died anywhere is repeated: each row is asked once more, not twice.
func TestBatchRetryFails(t *testing.T) {
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		f := newFile(l, "b")
		f.create(3)
		f.add(rows(1, 3))
		f.End(1, results.Failed)
		f.End(2, results.Completed)
		f.End(3, results.Expired)
		retry := func(c *tasks.Client, rdb redis.UniversalClient) error {
			_, err := batches.New(c).Retry(context.Background(), "b", batches.RetryOptions{Want: wantAll})
			return err
		}
		hit, err := tasktest.FaultyOn(t, l.Redis, n, what, func(rdb redis.UniversalClient) error {
			return retry(tasks.NewClient(results.NewStore(rdb)), rdb)
		})
		if (!hit || what == redistest.Twice) && err != nil {
			t.Errorf("got %v", err)
		}
		f.Must(retry(l.Tasks, l.Redis))
		f.Letters("q2Cq2")
		f.Line.States("b-1.2", "pending", "b-3.2", "pending", "b-1.3", "none", "b-3.3", "none")
		return hit
	})
}

// A submission that corrects a refused row dies anywhere, and is repeated: the row is asked as it is now, once.
func TestCorrectFails(t *testing.T) {
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		ctx := t.Context()
		f := newFile(l, "b")
		f.create(3)
		f.add(rows(1, 3, func(r *batches.Row) {
			if r.N != 2 {
				r.Chat.Refused = &results.Failure{Class: "rate", Code: 4013, Message: "cat.png: no such file"}
			}
		}))
		for row := 1; row <= 3; row++ {
			f.End(row, results.Failed)
		}
		correct := func(rdb redis.UniversalClient) error {
			bs := batches.New(tasks.NewClient(results.NewStore(rdb)))
			_, err := bs.Repair(context.Background(), "b")
			if err == nil {
				_, err = bs.Correct(context.Background(), "b", rows(1, 3))
			}
			return err
		}
		refused := func() bool {
			states, err := f.Client.States(ctx, "b")
			f.Must(err)
			row, err := f.Row(ctx, "b", states, 1)
			f.Must(err)
			return row.Chat.Refused != nil
		}
		hit, err := tasktest.FaultyOn(t, l.Redis, n, what, correct)
		if (!hit || what == redistest.Twice) && err != nil {
			t.Errorf("got %v", err)
		}
		f.Must(correct(l.Redis))
		want := "q2Fq2"
		if refused() { // it died when the row was open and had its old question: that is refused once more
			f.Letters(want)
			f.End(1, results.Failed)
			f.End(3, results.Failed)
			f.Must(correct(l.Redis))
			want = "q3Fq3"
		}
		if f.Letters(want); refused() {
			t.Error("the row has its old question")
		}
		if b := f.Read(); !slices.Equal(b.Failures, []batches.FailureCount{{Class: "rate", Code: 4013, Count: 1}}) {
			t.Errorf("failures %+v", b.Failures)
		}
		return hit
	})
}

// A submission that died anywhere is repeated.
func TestBatchAddFails(t *testing.T) {
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		submit := func(rdb redis.UniversalClient) error {
			ctx := context.Background()
			bs := batches.New(tasks.NewClient(results.NewStore(rdb)))
			if _, _, err := bs.Create(ctx, batches.Spec{ID: "b", Rows: 3}); err != nil {
				return err
			}
			if err := bs.Add(ctx, "b", rows(1, 3)); err != nil {
				return err
			}
			return bs.Submitted(ctx, "b")
		}
		hit, err := tasktest.FaultyOn(t, l.Redis, n, what, submit)
		if (!hit || what == redistest.Twice) && err != nil {
			t.Errorf("got %v", err)
		}
		l.Must(submit(l.Redis))
		f := newFile(l, "b")
		f.Letters("qqq")
		if got := f.Pending(); !slices.Equal(got, []string{"b-1", "b-2", "b-3"}) {
			t.Errorf("pending %q", got)
		}
		if b := f.Read(); b.Enqueued != 3 || b.SubmittedAt.IsZero() || b.Counts.Queued != 3 {
			t.Errorf("%+v", b)
		}
		if all, err := f.List(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("list %v, %v", all, err)
		}
		return hit
	})
}

func TestBatchMend(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		ctx := t.Context()
		f.create(255)
		f.add(rows(1, 250))
		f.Begin("b-2")
		a := f.Begin("b-3") // whose worker died before it could mark it
		a.Result.Status, a.Result.Usage = results.Completed, &results.Usage{TokenCount: 5}
		f.Must(a.Finish(ctx, false))
		f.Must(f.Inspector.DeleteTask("default", "b-4")) // in asynqmon
		f.Must(f.Inspector.DeleteTask("default", "b-5"))
		f.Must(f.Store.Delete(ctx, "b-5")) // a fail-over
		f.Must(f.Store.Delete(ctx, "b-6")) // its record alone: the worker makes it again
		done, err := f.Repair(ctx, "b")
		if err != nil || done != (batches.Repaired{Marked: 1, Enqueued: 2}) {
			t.Errorf("%+v, %v", done, err)
		}
		f.Line.States("b-4", "pending", "b-5", "pending", "b-251", "none")
		if b := f.Read(); b.Counts.Completed != 1 || b.Counts.Open() != 254 || b.Tokens.TokenCount != 5 {
			t.Errorf("%+v", b)
		}
		if done, err := f.Repair(ctx, "b"); err != nil || done != (batches.Repaired{}) {
			t.Errorf("again: %+v, %v", done, err)
		}
		// A canceled batch gets no tasks again.
		f.Must(f.Inspector.DeleteTask("default", "b-7"))
		f.Must(f.Redis.HSet(ctx, "cozeq:batch:{b}", "canceled_at", "2026-11-24T00:00:00.000Z").Err())
		if _, err := f.Repair(ctx, "b"); err != nil {
			t.Error(err)
		}
		if s := f.Status("b-7"); s != results.Canceled {
			t.Errorf("b-7 is %s", s)
		}
	})
}

// A row that somebody runs again by hand, in asynqmon, is open again for the same ask.
func TestBatchReopen(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		f.create(1)
		f.add(rows(1, 1))
		f.End(1, results.Failed)
		r, err := f.Store.Get(t.Context(), "b-1")
		f.Must(err)
		tally := tally.New(f.Redis)
		f.Must(tally.ReopenResult(t.Context(), r))
		f.Must(tally.ReopenResult(t.Context(), r))
		f.Must(record.New(f.Store).Reopen(t.Context(), "b-1"))
		f.Letters("q")
		if b := f.Read(); len(b.Failures) != 0 || !b.EndedAt.IsZero() {
			t.Errorf("%+v", b)
		}
		f.End(1, results.Completed)
		if b := f.Read(); b.Counts.Completed != 1 || b.Tokens.TokenCount != 24 {
			t.Errorf("%+v", b)
		}
	})
}

func TestBatchTaskID(t *testing.T) {
	for _, tt := range []struct {
		batch    string
		row, ask int
		id       string
	}{{"b", 1, 1, "b-1"}, {"b", 20, 3, "b-20.3"}, {"a-1.2", 7, 2, "a-1.2-7.2"}} {
		if got := batches.TaskID(tt.batch, tt.row, tt.ask); got != tt.id {
			t.Errorf("got %s, want %s", got, tt.id)
		}
		batch, row, ask, ok := batches.ParseTaskID(tt.id)
		if batch != tt.batch || row != tt.row || ask != tt.ask || !ok {
			t.Errorf("%s: %s, %d, %d, %v", tt.id, batch, row, ask, ok)
		}
	}
	for _, id := range []string{"", "-1", "b", "b-", "b-0", "b-01", "b-1.1", "b-1.0", "b-1.", "b-1.02", "b--1", "b-1.2.3", "b-+1"} {
		if batch, row, ask, ok := batches.ParseTaskID(id); ok && batches.TaskID(batch, row, ask) != id {
			t.Errorf("%q is row %d of %q", id, row, batch)
		} else if ok && id != "b--1" {
			t.Errorf("%q is taken for row %d of %q", id, row, batch)
		}
	}
	for _, r := range []results.Result{{ID: "b-1"}, {ID: "b-1", BatchID: "c"}, {ID: "0195", BatchID: "b"}} {
		if m, ok := tally.Of(&r); ok {
			t.Errorf("%+v is %+v", r, m)
		}
	}
}

// A batch's tenant is that of its rows, also of one that was never added.
func TestBatchTenant(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b")
		f.create(300, func(b *batches.Spec) { b.Tenant = "shop" })
		f.add(rows(1, 250, func(r *batches.Row) { r.Chat.Tenant = "another" }))
		f.Must(f.Cancel(t.Context(), "b", nil))
		if b := f.Read(); b.Tenant != "shop" {
			t.Errorf("the batch's is %q", b.Tenant)
		}
		for _, id := range []string{"b-1", "b-250", "b-251", "b-300"} {
			if r, err := f.Store.Get(t.Context(), id); err != nil || r.Tenant != "shop" {
				t.Errorf("%s: %+v, %v", id, r, err)
			}
		}
	})
}

// A tenant's list has its batches alone, in pages, the newest first, and forgets those that are gone.
func TestBatchPage(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		all := batches.New(l.Tasks)
		var mine []string
		for n := range 5 {
			for _, tenant := range []string{"shop", "other"} {
				f := newFile(l, fmt.Sprintf("%s-%d", tenant, n))
				f.create(1, func(b *batches.Spec) { b.Tenant, b.Note = tenant, fmt.Sprint("note ", n) })
				l.Must(l.Redis.ZAdd(t.Context(), "cozeq:batches:{"+tenant+"}", redis.Z{Score: float64(n), Member: f.ID}).Err())
			}
			mine = append([]string{fmt.Sprintf("shop-%d", n)}, mine...)
		}
		l.Must(l.Redis.Del(t.Context(), "cozeq:batch:{shop-2}").Err())
		page := func(o batches.PageOptions) string {
			t.Helper()
			o.Tenant = "shop"
			found, more, err := all.Page(t.Context(), o)
			l.Must(err)
			var ids []string
			for _, b := range found {
				ids = append(ids, b.ID)
			}
			return fmt.Sprint(ids, more)
		}
		for _, c := range []struct {
			o    batches.PageOptions
			want string
		}{
			{batches.PageOptions{Limit: 9}, "[shop-4 shop-3 shop-1 shop-0] false"},
			{batches.PageOptions{Limit: 2}, "[shop-4 shop-3] true"},
			{batches.PageOptions{Limit: 2, After: "shop-3"}, "[shop-1 shop-0] false"},
			{batches.PageOptions{Limit: 1, Want: func(b *batches.Status) bool { return b.Note == "note 1" }}, "[shop-1] false"},
		} {
			if got := page(c.o); got != c.want {
				t.Errorf("%+v: got %s, want %s", c.o, got, c.want)
			}
		}
		if n := l.Redis.ZCard(t.Context(), "cozeq:batches:{shop}").Val(); n != 4 {
			t.Errorf("%d ids are left of %v", n, mine)
		}
		if _, _, err := all.Page(t.Context(), batches.PageOptions{Tenant: "shop", After: "other-1", Limit: 1}); !errors.Is(err, batches.ErrNotFound) {
			t.Errorf("behind another tenant's: %v", err)
		}
		if found, err := all.List(t.Context()); err != nil || len(found) != 9 {
			t.Errorf("all: %d, %v", len(found), err)
		}
	})
}

// The hash is for other languages to read.
func TestBatchHash(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		f := newFile(l, "b1")
		expires := time.Date(2027, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
		f.create(4, func(b *batches.Spec) {
			b.Queue, b.Attempts, b.Timeout, b.Keep, b.ExpiresAt = "low", 3, 90*time.Second, 48*time.Hour, expires
			b.Columns, b.Shape, b.Tenant, b.Note = []string{"主题", "b"}, "opaque", "shop", "noted"
		})
		f.add(rows(1, 4))
		f.Must(f.Submitted(t.Context(), "b1"))
		f.End(1, results.Completed)
		f.End(2, results.Failed)
		f.Must(tally.New(f.Redis).Mark(t.Context(), tally.Mark{Batch: "b1", Row: 3, Attempt: 1, Status: results.Running},
			tally.Mark{Batch: "b1", Row: 4, Attempt: 1, Status: results.Waiting}))
		f.End(3, results.Expired)
		f.Must(f.Cancel(t.Context(), "b1", nil))
		hash, err := f.Redis.HGetAll(t.Context(), "cozeq:batch:{b1}").Result()
		f.Must(err)
		var lines []string
		for name, value := range hash {
			if strings.HasSuffix(name, "_at") && name != "expires_at" {
				if _, err := time.Parse("2006-01-02T15:04:05.000Z", value); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				value = "TIME"
			}
			lines = append(lines, name+"="+value)
		}
		slices.Sort(lines)
		tasktest.Golden(t, "batch.hash", strings.Join(lines, "\n")+"\n")
		if b := f.Read(); !b.ExpiresAt.Equal(expires) || b.Timeout != 90*time.Second || b.Keep != 48*time.Hour || b.Attempts != 3 || !slices.Equal(b.Columns, []string{"主题", "b"}) {
			t.Errorf("%+v", b)
		}
		states, err := f.Redis.Get(t.Context(), "cozeq:batch:{b1}:states").Result()
		f.Must(err)
		if states != "CFEX" {
			t.Errorf("states %q", states)
		}
		if err := f.Redis.HSet(t.Context(), "cozeq:batch:{b1}", "created_at", "yesterday").Err(); err != nil {
			t.Fatal(err)
		}
		if b, err := f.Get(t.Context(), "b1"); err == nil {
			t.Errorf("read as %+v", b)
		}
	})
}
