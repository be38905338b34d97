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
	// renewAfter is the part of a token's life, in percent, after which the next one is got.
	renewAfter = 80

	// lastMoments of a token are not used: it has to be good when it arrives. Of a short life it is a twentieth.
	lastMoments = 10 * time.Second

	// After a failure the next request waits, twice as long each time: callers may be many, and each would ask.
	pauseMin = time.Second
	pauseMax = 10 * time.Second

	// forcedEvery is the least time between two tokens got because one was refused. Where the second is refused as
	// well it is not the token that is wrong, and a third would change nothing.
	forcedEvery = 5 * time.Second
)

// Source is a coze.TokenSource, coze.Refresher and coze.Identifier over an app. It is safe for concurrent use.
type Source struct {
	cfg      Config
	endpoint string

	mu        sync.Mutex
	token     grant
	refused   bool   // Coze does not take the token any more
	running   *fetch // nil: nobody is getting a token
	failures  int    // in a row
	err       error  // of the last one
	notBefore time.Time
	forced    time.Time // when a token was last got because one was refused
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

// fetch is a token on its way. Its result may be read once done is closed.
type fetch struct {
	done  chan struct{}
	token string
	err   error
}

// New checks the configuration and gives the source. The first token is got when one is first asked for.
func New(cfg Config) (*Source, error) {
	endpoint, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, endpoint: endpoint}
	if _, err := s.assertion(time.Now()); err != nil { // a key that is too short, while somebody looks
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return s, nil
}

// Token gives a token that is good. As a rule it is at hand; a caller waits only for the first one and for one that
// takes the place of a token that was refused or has died. The end of ctx ends the wait, not what others wait for. The
// error is the context's or a [*coze.Error].
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

// Refresh gets another token unless the source's is not the rejected one any more. It does so once in 5 s at most.
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

// Identity names the app, and the session where there is one.
func (s *Source) Identity() string {
	if s.cfg.SessionName == "" {
		return "oauth:" + s.cfg.ClientID
	}
	return "oauth:" + s.cfg.ClientID + ":" + s.cfg.SessionName
}

// next is the token on its way, if need be on its way from now on; the error is the last one while it is too early to
// ask again. The caller holds mu.
func (s *Source) next(ctx context.Context, now time.Time) (*fetch, error) {
	if s.running == nil && now.Before(s.notBefore) {
		return nil, s.err
	}
	return s.get(ctx), nil
}

// get begins to get a token, if nobody does yet. It outlives ctx: others wait for it too. The caller holds mu.
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

// String shows whose tokens they are, and none of them.
func (s *Source) String() string { return "oauth.Source(" + s.cfg.ClientID + ")" }

// Format hides tokens and key from every verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides tokens and key from slog.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
