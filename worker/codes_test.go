package worker_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// codeBudget is how often each question may be asked: more than any row's Tries, so
// that those are seen to count, and less than the default, whose back-offs take 15 s.
const codeBudget = 4

// ending is what is to come of a question that meets a code.
type ending struct {
	pause    coze.Scope // what is paused first; "" = nothing
	status   results.Status
	class    coze.Class // of a failure
	attempts int
	calls    int // of POST /v3/chat, those after a pause included
}

// form is a code and the way in which it comes.
type form struct {
	code int
	kind cozetest.Kind
}

// special are the endings that class, scope and tries do not tell.
var special = map[form]ending{
	// The conversation is ours: it is made anew and asked in again, once, within the
	// same attempt.
	{4002, cozetest.Refuse}: {status: results.Failed, class: coze.ClassPermanent, attempts: 1, calls: 2},
	{4002, cozetest.Error}:  {status: results.Failed, class: coze.ClassPermanent, attempts: 1, calls: 2},
}

// expected is the promise of a row. What is waited for is met once, or until the
// test lifts it, and costs no attempt; everything else is met for ever.
func expected(row coze.Code, kind cozetest.Kind) ending {
	if e, ok := special[form{row.Code, kind}]; ok {
		return e
	}
	switch {
	case row.Class == coze.ClassRate, row.Class == coze.ClassBusy:
		return ending{status: results.Completed, attempts: 1, calls: 2}
	case row.Scope != "":
		return ending{pause: row.Scope, status: results.Completed, attempts: 1, calls: 2}
	case row.Class == coze.ClassTransient:
		tries := codeBudget
		if row.Tries > 0 {
			tries = row.Tries
		}
		return ending{status: results.Failed, class: row.Class, attempts: tries, calls: tries}
	}
	return ending{status: results.Failed, class: row.Class, attempts: 1, calls: 1}
}

// inStream is the form that a code has inside a stream: internal ones show through
// as a chat's last_error, those of the open API and of self-hosted servers come as
// an error event.
func inStream(code int) cozetest.Kind {
	if code < 5000 || code/100_000_000 == 1 {
		return cozetest.Error
	}
	return cozetest.Fail
}

// scripted is one question of TestCodes. It has a bot of its own.
type scripted struct {
	coze.Code
	kind cozetest.Kind
	name string // of its bot and, with others on its line, of its credential
	want ending
	line *line
	id   string

	since  time.Time // the pause began
	lifted time.Time // what paused it was over
}

func (s *scripted) question() string { return "meets " + s.name }

// place names the line of a question: one of its own where all who share the
// credential would be paused, unless there each has a credential of its own.
func (s *scripted) place() string {
	switch {
	case s.want.pause == coze.ScopeAccount && s.kind != cozetest.Refuse:
		return placeCredentials
	case s.want.pause == coze.ScopeAccount:
		return s.name
	case s.want.pause == coze.ScopeBot:
		return "bots"
	case s.Class == coze.ClassRate:
		return "rates" // they slow their line down
	}
	return "rest"
}

const placeCredentials = "credentials"

// TestCodes meets every code of the table twice, as a refusal and inside a stream,
// and checks what the table promises of it: how its question ends, after how many
// attempts and calls, and what is paused until then.
func TestCodes(t *testing.T) {
	t.Parallel()
	var all []*scripted
	places := map[string][]*scripted{}
	for _, row := range coze.DefaultCodes().All() {
		for _, kind := range []cozetest.Kind{cozetest.Refuse, inStream(row.Code)} {
			s := &scripted{Code: row, kind: kind, name: fmt.Sprintf("%d-%s", row.Code, kind), want: expected(row, kind)}
			all = append(all, s)
			places[s.place()] = append(places[s.place()], s)
		}
	}
	for place, some := range places {
		serveCodes(t, some, place == placeCredentials)
	}

	for _, s := range all {
		if s.want.pause != "" {
			s.checkPause(t)
		}
	}
	for _, some := range places {
		l, pauses := some[0].line, 0
		for _, s := range some {
			if s.want.pause != "" {
				pauses++
			}
		}
		if pauses == 0 {
			continue
		}
		for _, s := range some {
			s.lifted = time.Now()
		}
		l.rules()
		if n, err := worker.ProbeNow(t.Context(), l.rdb); err != nil || n != pauses {
			t.Errorf("%s and its like: %d pauses, %v, want %d", some[0].name, n, err, pauses)
		}
	}
	for _, s := range all {
		s.checkEnd(t)
	}
	for place, some := range places {
		if left := some[0].line.paused(); len(left) != 0 {
			t.Errorf("%s: still paused, or paused for nothing: %+v", place, left)
		}
		awaittest.Until(t, "the queue of "+place+" to be served again", func() bool { return !some[0].line.queue().Paused })
	}
}

// serveCodes puts these questions on a line and starts a worker for them.
func serveCodes(t *testing.T, some []*scripted, credentials bool) {
	t.Helper()
	l := newLine(t, redistest.Embedded(t))
	var rules []cozetest.Rule
	for _, s := range some {
		s.line = l
		rule := cozetest.Rule{Contains: s.question(), Fault: cozetest.Fault{Kind: s.kind, Code: s.Code.Code}}
		if s.want.status == results.Completed && s.want.pause == "" {
			rule.Times = 1
		}
		rules = append(rules, rule)
	}
	l.rules(rules...)
	for _, s := range some {
		chat := tasks.Ask(s.name, s.question())
		if credentials {
			chat.Credential = s.name
		}
		s.id = l.enqueue(chat, tasks.Options{Attempts: codeBudget})
	}
	l.work(func(c *worker.Config) {
		c.Concurrency = min(16, len(some)) // one asynq Server: there are many lines
		if !credentials {
			return
		}
		for _, s := range some {
			c.Credentials = append(c.Credentials, worker.Credential{Name: s.name, Coze: l.tokenClient(s.name, c.Coze.HTTP)})
		}
	})
}

// tokenClient asks the fake with a token of its own, and so as somebody else.
func (l *line) tokenClient(token string, over *http.Client) *coze.Client {
	return &coze.Client{BaseURL: l.fake.URL, Auth: coze.StaticToken(token), HTTP: over}
}

// asks counts how often the question was sent, refused or not, and how many of that
// were probes that a pause let through by itself, as it does after half a minute.
func (s *scripted) asks() (n, probes int) {
	for _, r := range s.line.fake.Requests() {
		if r.Path != "/v3/chat" || r.Question != s.question() {
			continue
		}
		n++
		due := !s.since.IsZero() && !r.Time.Before(s.since.Add(firstProbe))
		if due && (s.lifted.IsZero() || r.Time.Before(s.lifted)) {
			probes++
		}
	}
	return n, probes
}

// firstProbe is when a pause is first probed, less a second for what Redis' clock and
// ours differ by.
const firstProbe = 29 * time.Second

// checkPause waits until the question waits for the end of a pause, and checks the pause. For a pause of the account it is
// back in its queue, which is paused; for any other it is parked.
func (s *scripted) checkPause(t *testing.T) {
	t.Helper()
	bot := ""
	if s.want.pause == coze.ScopeBot {
		bot = s.name
	}
	var pause worker.Pause
	var r *results.Result
	awaittest.Until(t, s.name+" to wait", func() bool {
		var err error
		if r, err = s.line.store.Get(t.Context(), s.id); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for _, pause = range s.line.paused() {
			if pause.Code == s.Code.Code && pause.BotID == bot && (pause.Aside == 1 || s.place() == s.name && s.line.queue().Paused) {
				return r.Status == results.Waiting
			}
		}
		return false
	})
	s.since = pause.Since
	if pause.Class != string(s.Class) || pause.Message == "" || pause.Hint != s.Hint.EN {
		t.Errorf("%s: paused by %+v", s.name, pause)
	}
	if r.Attempts != 0 || r.Error == nil || r.Error.Code != s.Code.Code || r.Error.Class != string(s.Class) {
		t.Errorf("%s: waits after %d attempts, want none\nerror: %+v", s.name, r.Attempts, r.Error)
	}
	if calls, probes := s.asks(); calls != 1+probes {
		t.Errorf("%s: %d calls while it is paused, %d of them probes, want 1 more than these", s.name, calls, probes)
	}
	// Where all tasks of a queue are held up asynqmon shows it; where others are well
	// they go on.
	if alone := s.place() == s.name; s.line.queue().Paused != alone {
		t.Errorf("%s: queue paused %t, want %t", s.name, !alone, alone)
	}
}

// checkEnd waits for the question's end and checks it.
func (s *scripted) checkEnd(t *testing.T) {
	t.Helper()
	r := s.line.wait(s.id)
	class, code := coze.Class(""), 0
	if r.Error != nil {
		class, code = coze.Class(r.Error.Class), r.Error.Code
	}
	w := s.want
	calls, probes := s.asks()
	calls -= probes
	if r.Status != w.status || class != w.class || r.Attempts != w.attempts || calls != w.calls {
		t.Errorf("%s: %s %s after %d attempts and %d calls, want %s %s after %d and %d\nerror: %+v",
			s.name, r.Status, class, r.Attempts, calls, w.status, w.class, w.attempts, w.calls, r.Error)
	}
	if w.status == results.Failed && (code != s.Code.Code || r.Error.Message == "" || r.Error.Hint != s.Hint.EN) {
		t.Errorf("%s: told as %+v", s.name, r.Error)
	}
	if r.PossibleDuplicate {
		t.Errorf("%s: said to be a possible duplicate", s.name)
	}
}
