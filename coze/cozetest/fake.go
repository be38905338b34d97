package cozetest

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Fake is Coze as an http.Handler: all its state, and what it remembers of its
// callers. It is safe for concurrent use.
type Fake struct {
	cfg  Config
	quit chan struct{}

	mu            sync.Mutex
	closed        bool
	tokens        []string
	oauth         oauth
	book          *rulebook
	bucket        bucket // of chats
	runBucket     bucket // of workflows
	journal       journal
	lastID        int64
	calls         uint64
	conversations map[string]*conversation
	idle          []idle // oldest first
	files         map[string]file
	runs          map[string]*run
}

// NewHandler returns a Fake. The error is about Config.Rules and says which rule
// is wrong. Close ends what a Fake leaves running.
func NewHandler(c Config) (*Fake, error) {
	book, err := newRulebook(c.Rules, c.Seed)
	if err != nil {
		return nil, err
	}
	return &Fake{
		cfg: c, quit: make(chan struct{}), tokens: slices.Clone(c.Tokens), book: book,
		oauth:         oauth{key: c.OAuthKey, life: c.OAuthLife, granted: map[string]time.Time{}, used: map[string]bool{}},
		bucket:        bucket{rate: c.Rate},
		runBucket:     bucket{rate: c.Rate},
		journal:       journal{keep: c.KeepLog, calls: map[string]int{}, asked: map[uint64]uint32{}},
		lastID:        c.firstID(),
		conversations: map[string]*conversation{},
		files:         map[string]file{},
		runs:          map[string]*run{},
	}, nil
}

// Close ends open streams and stalls, as a server that goes down does, and stops
// the chats that run on. It may be called more than once.
func (f *Fake) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	close(f.quit)
	for _, c := range f.conversations {
		if c.active != nil && c.active.timer != nil {
			c.active.timer.Stop()
		}
	}
}

// SetTokens replaces the accepted tokens, as their expiry or rotation does.
// None: any non-empty token, or with Config.OAuthKey those given for it.
func (f *Fake) SetTokens(tokens ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = slices.Clone(tokens)
}

// SetRules replaces the script. Counts start anew.
func (f *Fake) SetRules(rules ...Rule) error {
	book, err := newRulebook(rules, f.cfg.Seed)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.book = book
	return nil
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{fake: f, w: w, r: r}
	x.entry = Request{Time: f.cfg.now(), Method: r.Method, Path: r.URL.Path}
	f.mu.Lock()
	f.calls++
	x.entry.LogID = logID(x.entry.Time, f.calls^f.cfg.Seed<<32)
	f.mu.Unlock()
	w.Header().Set("X-Tt-Logid", x.entry.LogID)
	if !x.sleep(f.cfg.Delay) {
		x.log(0, 0)
		return
	}
	route, known := routes[callOf(r.URL.Path)]
	if !known || !slices.Contains(route.methods, r.Method) {
		x.refuse(refuse(codeParameter, "Invalid URL ("+r.Method+" "+r.URL.Path+")").at(http.StatusNotFound))
		return
	}
	x.route = route
	if route.on != onUpload {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	if !route.open { // a chat looks up its bot before the token
		if !f.knows(bearer(r)) {
			code := codeToken
			if route.ofWorkflows() {
				code = codeAuthentication
			}
			x.refuse(refuse(code, "").at(http.StatusUnauthorized))
			return
		}
		if route.limited && x.limited() {
			return
		}
	}
	route.serve(x)
}

func (f *Fake) knows(token string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token == "" {
		return false
	}
	if slices.Contains(f.tokens, token) {
		return true
	}
	if until, granted := f.oauth.granted[token]; granted {
		return time.Now().Before(until)
	}
	return len(f.tokens) == 0 && f.oauth.key == nil
}

// id hands out the next id. The caller holds mu.
func (f *Fake) id() string {
	f.lastID++
	return formatID(f.lastID)
}
