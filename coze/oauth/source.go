package oauth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
)

const (
	// renewAfter is the percentage of a token's life after which the next one is requested.
	renewAfter = 80

	// lastMoments of a token's life are not used: it must still be valid when it arrives. For a short-lived token it is a
	// twentieth of its life.
	lastMoments = 10 * time.Second

	// After a failure the next request waits, twice as long each time: many callers would each send one.
	pauseMin = time.Second
	pauseMax = 10 * time.Second

	// forcedEvery is the least time between two tokens requested because one was refused. If the second is refused too,
	// the token is not the reason, and a third would not help.
	forcedEvery = 5 * time.Second
)

// Source is a coze.TokenSource, coze.Refresher and coze.Identifier over an app. It is safe for concurrent use.
type Source struct {
	cfg      Config
	endpoint string

	mu        sync.Mutex
	token     grant
	refused   bool   // Coze refuses the token
	running   *fetch // nil = no request is in progress
	failures  int    // in a row
	err       error  // of the last one
	notBefore time.Time
	forced    time.Time // time of the last token requested because one was refused
}

var (
	_ coze.Refresher  = (*Source)(nil)
	_ coze.Identifier = (*Source)(nil)
)

// grant is a token and its life on this machine's clock.
type grant struct {
	token   string
	renewAt time.Time
	until   time.Time
}

// fetch is a request in progress. Its result may be read when done is closed.
type fetch struct {
	done  chan struct{}
	token string
	err   error
}

// New checks the configuration. The first call of Token requests the first token.
func New(cfg Config) (*Source, error) {
	endpoint, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, endpoint: endpoint}
	if _, err := s.assertion(time.Now()); err != nil { // reports a key that is too short now, not at the first call
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return s, nil
}

// Token returns a valid token. A caller waits only for the first one and for the successor of a refused or expired one. The
// end of ctx ends this wait, not the request, which others may wait for. The error is the context's or a [*coze.Error].
func (s *Source) Token(ctx context.Context) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	s.mu.Lock()
	now := time.Now()
	if !s.refused && now.Before(s.token.until) {
		defer s.mu.Unlock()
		if !now.Before(s.token.renewAt) && !now.Before(s.notBefore) {
			s.get(ctx)
		}
		return s.token.token, nil
	}
	f, err := s.next(ctx, now)
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	return f.wait(ctx)
}

// Refresh gets a new token unless the source already has another one than rejected; at most once in 5 s.
func (s *Source) Refresh(ctx context.Context, rejected string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	now := time.Now()
	if s.token.token != rejected || s.running == nil && !s.forced.IsZero() && now.Sub(s.forced) < forcedEvery {
		s.mu.Unlock()
		return nil
	}
	f, err := s.next(ctx, now)
	if err == nil {
		s.refused, s.forced = true, now
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = f.wait(ctx)
	return err
}

// Identity names the app, and the session if there is one.
func (s *Source) Identity() string {
	if s.cfg.SessionName == "" {
		return "oauth:" + s.cfg.ClientID
	}
	return "oauth:" + s.cfg.ClientID + ":" + s.cfg.SessionName
}

// next is the request in progress; it starts one if necessary. While it is too early for another request the error is the
// last one. The caller holds mu.
func (s *Source) next(ctx context.Context, now time.Time) (*fetch, error) {
	if s.running == nil && now.Before(s.notBefore) {
		return nil, s.err
	}
	return s.get(ctx), nil
}

// get starts a request unless one is in progress. It outlives ctx: others wait for it too. The caller holds mu.
func (s *Source) get(ctx context.Context) *fetch {
	if s.running != nil {
		return s.running
	}
	f := &fetch{done: make(chan struct{})}
	s.running = f
	go func() {
		g, err := s.request(context.WithoutCancel(ctx))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = nil
		if err != nil {
			f.err, s.err = err, err
			s.notBefore = time.Now().Add(min(pauseMax, pauseMin<<min(s.failures, 10)))
			s.failures++
		} else {
			f.token = g.token
			s.token, s.refused, s.err, s.failures, s.notBefore = g, false, nil, 0, time.Time{}
		}
		close(f.done)
	}()
	return f
}

func (f *fetch) wait(ctx context.Context) (string, error) {
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// String names the app and shows no token.
func (s *Source) String() string { return "oauth.Source(" + s.cfg.ClientID + ")" }

// Format hides tokens and key from every verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides tokens and key from slog.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
