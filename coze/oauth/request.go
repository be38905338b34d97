package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/coze"
)

const (
	op        = "oauth2/token"
	grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"

	// patience bounds one request: it is small, and all callers wait for it.
	patience = 30 * time.Second
	maxReply = 1 << 20
)

// request exchanges an assertion for a token. An error is always a *coze.Error.
func (s *Source) request(ctx context.Context) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	assertion, err := s.assertion(began)
	if err != nil {
		e := &coze.Error{Op: op, Class: coze.ClassAuth, Scope: coze.ScopeAccount, Err: err}
		return grant{}, e.WithHint(hintApp)
	}
	body, err := json.Marshal(map[string]any{
		"grant_type":       grantType,
		"duration_seconds": int64(s.cfg.Life / time.Second),
	})
	if err != nil {
		return grant{}, &coze.Error{Op: op, Class: coze.ClassInvalid, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return grant{}, &coze.Error{Op: op, Class: coze.ClassInvalid, Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+assertion)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.cfg.HTTP.Do(req)
	if err != nil {
		return grant{}, coze.NoReply(op, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return grant{}, &coze.Error{Op: op, Status: resp.StatusCode, Class: coze.ClassTransient, Err: err}
	}
	r := parse(content)
	if resp.StatusCode != http.StatusOK || r.token == "" {
		return grant{}, r.failure(resp, began, assertion)
	}
	return s.granted(r, resp, began), nil
}

// granted is a token with its life on this machine's clock. The reply has the moment of its end on Coze's clock, and its
// Date header is Coze's time. Without it, or if the clocks are too far apart, the life is the requested one.
func (s *Source) granted(r reply, resp *http.Response, began time.Time) grant {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		there = began
	}
	life := time.Unix(r.expires, 0).Sub(there)
	if r.expires <= int64(MaxLife/time.Second) { // a moment of 1970: it can only be a duration
		life = time.Duration(r.expires) * time.Second
	}
	if life <= 0 || life > s.cfg.Life {
		life = s.cfg.Life
	}
	return grant{
		token:   r.token,
		renewAt: began.Add(life * renewAfter / 100),
		until:   began.Add(life - min(lastMoments, life/20)),
	}
}
