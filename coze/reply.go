package coze

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxReply   = 8 << 20   // bytes of a reply that is not a stream, unless MaxEvent is larger; a list of 50 long messages is below 1 MiB
	maxSnippet = 200       // bytes kept of a reply that is not JSON
	maxLogID   = 100       // bytes kept of a log id; Coze's have 34
	keepBuffer = 256 << 10 // a larger buffer is not pooled
)

// envelope is the outer object of a reply. It is valid as long as the bytes it was read from.
type envelope struct {
	code            int
	msg, fallback   string // fallback is the "message" of gateways
	data, messages  []byte // messages holds the lists of self-hosted servers
	firstID, lastID string
	hasMore         bool
	detail, error   []byte
	foreign         bool // it has fields, but none of a Coze reply
}

// envelopeOf reads a JSON object; ok is false for anything else.
func envelopeOf(body []byte) (env envelope, ok bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return envelope{}, false
	}
	o := object{b: body}
	fields, known := false, false
	for o.next() {
		fields = true
		switch string(o.name) {
		case "code", "msg", "data", "messages", "detail", "execute_id":
			known = true
		}
		switch string(o.name) {
		case "code":
			env.code = int(integerOf(o.value))
		case "msg":
			env.msg = textOf(o.value)
		case "message":
			env.fallback = textOf(o.value)
		case "data":
			env.data = o.value
		case "messages":
			env.messages = o.value
		case "first_id":
			env.firstID = idOf(o.value)
		case "last_id":
			env.lastID = idOf(o.value)
		case "has_more":
			more := textOf(o.value)
			env.hasMore = more == "true" || more == "1"
		case "detail":
			env.detail = o.value
		case "error":
			env.error = o.value
		}
	}
	if o.err != nil {
		return envelope{}, false
	}
	env.foreign = fields && !known
	return env, true
}

func (e *envelope) message() string { return cmp.Or(e.msg, e.fallback) }

// logID is detail.logid, or error.logid of older bodies.
func (e *envelope) logID() string {
	for _, raw := range [][]byte{e.detail, e.error} {
		var w struct {
			LogID text `json:"logid"`
		}
		if len(raw) > 0 && json.Unmarshal(raw, &w) == nil && w.LogID != "" {
			return string(w.LogID)
		}
	}
	return ""
}

// content is the reply's data, nil for none.
func (e *envelope) content() []byte {
	for _, raw := range [][]byte{e.data, e.messages} {
		if len(raw) > 0 && raw[0] != 'n' {
			return raw
		}
	}
	return nil
}

var replyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// reply reads and judges a whole reply. An error is always an *Error. The envelope of a good reply owns its content.
func (x *exchange) reply(ctx context.Context, resp *http.Response) (*envelope, error) {
	buffer := replyBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= keepBuffer {
			buffer.Reset()
			replyBuffers.Put(buffer)
		}
	}()
	limit := max(maxReply, x.client.maxEvent())
	_, err := buffer.ReadFrom(io.LimitReader(resp.Body, int64(limit)+1))
	body := buffer.Bytes()
	if err != nil {
		return nil, x.unread(ctx, err)
	}
	if len(body) > limit {
		e := x.failure()
		e.Class, e.Message, e.Err = ClassPermanent, fmt.Sprintf("the reply is larger than %d bytes", limit), ErrEventTooLarge
		e.hint = hintTooLarge.EN
		return nil, e
	}
	env, ok := envelopeOf(body)
	if x.logID == "" {
		x.logID = x.line(env.logID(), maxLogID)
	}
	if ok && !env.foreign && env.code == 0 && resp.StatusCode < 300 {
		content := env.content()
		if x.call.whole {
			content = body
		}
		return &envelope{
			data: bytes.Clone(content), firstID: env.firstID, lastID: env.lastID, hasMore: env.hasMore,
		}, nil
	}
	e := x.failure()
	e.Code = env.code
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	switch {
	case ok && env.message() != "":
		e.Message = x.line(env.message(), maxMessage)
	case len(bytes.TrimSpace(body)) == 0:
		e.Message = "the reply is empty"
	default:
		kind := "nothing known"
		if media := mediaType(resp); media != "" {
			kind = x.line(media, 50)
		}
		if ok {
			kind = "JSON without a reason"
		}
		e.Message = "the reply is " + kind + ": " + x.line(string(body[:min(len(body), 4<<10)]), maxSnippet)
	}
	if e.Code != 0 || refuses(resp.StatusCode) {
		e.Zone = ZoneRefused
	}
	e.judge(x.client.Codes)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		x.redirected(e, resp)
	case resp.StatusCode < 300 && isForeign(env, ok, body):
		e.Class, e.Scope, e.hint = ClassEndpoint, ScopeAccount, hintEndpoint.EN
	}
	return nil, e
}

// refuses reports whether a status alone says that the question was not taken. 408, and 499 from nginx, come from a
// proxy that gave up waiting: it may have passed the question on.
func refuses(status int) bool {
	return status >= 300 && status < 500 && status != http.StatusRequestTimeout && status != statusClientClosed
}

// isForeign reports whether a reply with a good status is not from Coze's API: the login page of a network, or another
// program's JSON. An empty or cut reply does not say who sent it.
func isForeign(env envelope, ok bool, body []byte) bool {
	if ok {
		return env.foreign
	}
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] != '{'
}

// unread is the failure of a reply that broke off.
func (x *exchange) unread(ctx context.Context, err error) *Error {
	e := x.failure()
	if refuses(e.Status) {
		e.Zone = ZoneRefused
	}
	if class, cause := interrupted(ctx); class != "" {
		e.Class, e.Err = class, cause
		return e
	}
	e.judge(x.client.Codes)
	e.Err = fmt.Errorf("the reply broke off: %w", err)
	return e
}

// into decodes a good reply's content.
func (x *exchange) into(env *envelope, target any) error {
	if x.call.page != nil {
		x.call.page.FirstID, x.call.page.LastID, x.call.page.HasMore = env.firstID, env.lastID, env.hasMore
	}
	if raw := env.content(); raw != nil {
		if err := decode(raw, target); err != nil {
			e := x.failure()
			e.Class, e.Err = ClassTransient, fmt.Errorf("the reply's data is not what it should be: %w", err)
			return e
		}
	}
	missing := ""
	switch target := target.(type) {
	case *Chat:
		x.adopt(target)
		if target.ID == "" && !x.call.inBody {
			missing = "chat"
		}
		keepString(&target.ConversationID, x.call.conversationID)
	case *WorkflowRun:
		x.adoptRun(target)
	case *[]WorkflowRun:
		for i := range *target {
			x.adoptRun(&(*target)[i])
		}
	case *Conversation:
		if target.ID == "" {
			missing = "conversation"
		}
	}
	if missing != "" {
		e := x.failure()
		e.Class, e.Message = ClassTransient, "the reply names no "+missing
		return e
	}
	return nil
}

func decode(raw []byte, target any) error {
	if own, ok := target.(json.Unmarshaler); ok {
		return own.UnmarshalJSON(raw) // checks the JSON itself
	}
	return json.Unmarshal(raw, target)
}

// interrupted is the class and cause of a call that this side ended, "" if it did not.
func interrupted(ctx context.Context) (Class, error) {
	err := ctx.Err()
	if err == nil {
		return "", nil
	}
	cause := context.Cause(ctx)
	class := ClassCanceled
	switch {
	case errors.Is(cause, ErrIdle):
		return ClassTimeout, cause
	case errors.Is(err, context.DeadlineExceeded):
		class = ClassTimeout
	}
	if !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return class, err
}

// retryAfter reads a Retry-After header, seconds or an HTTP date; 0 for none and for the past.
func retryAfter(header string) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	const day = 24 * time.Hour // a later date means a wrong clock
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		return time.Duration(min(max(seconds, 0), day.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), day)
	}
	return 0
}

// mediaType is the reply's content type without its parameters, "" for none.
func mediaType(resp *http.Response) string {
	header := resp.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(header); err == nil {
		return media
	}
	media, _, _ := strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(media))
}
