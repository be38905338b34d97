package coze

import (
	"bytes"
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
	maxReply   = 8 << 20   // bytes of a reply that is not a stream; a list of 50 long messages is below 1 MiB
	maxSnippet = 200       // bytes kept of a reply that is not JSON
	maxLogID   = 100       // bytes kept of a log id, of which Coze's have 34
	keepBuffer = 256 << 10 // a larger buffer is not pooled
)

// envelope is what surrounds a reply. Fields that have been seen in several forms are read when they are needed.
type envelope struct {
	Code     integer         `json:"code"`
	Msg      text            `json:"msg"`
	Message  text            `json:"message"` // gateways
	Data     json.RawMessage `json:"data"`
	Messages json.RawMessage `json:"messages"` // self-hosted servers' lists; they write it Messages
	FirstID  ident           `json:"first_id"`
	LastID   ident           `json:"last_id"`
	HasMore  text            `json:"has_more"`
	Detail   json.RawMessage `json:"detail"`
	Error    json.RawMessage `json:"error"`
}

// envelopeOf reads JSON that begins with a brace; ok is false for anything else.
func envelopeOf(body []byte) (env envelope, ok bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return envelope{}, false
	}
	return env, json.Unmarshal(body, &env) == nil
}

func (e *envelope) message() string {
	if e.Msg != "" {
		return string(e.Msg)
	}
	return string(e.Message)
}

// logID is detail.logid, or error.logid of older bodies.
func (e *envelope) logID() string {
	for _, raw := range []json.RawMessage{e.Detail, e.Error} {
		var w struct {
			LogID text `json:"logid"`
		}
		if len(raw) > 0 && json.Unmarshal(raw, &w) == nil && w.LogID != "" {
			return string(w.LogID)
		}
	}
	return ""
}

// content is what the reply is about, nil for none.
func (e *envelope) content() json.RawMessage {
	for _, raw := range []json.RawMessage{e.Data, e.Messages} {
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			return raw
		}
	}
	return nil
}

var replyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// reply reads a whole reply and judges it: an error is always an *Error.
func (x *exchange) reply(ctx context.Context, resp *http.Response) (*envelope, error) {
	buffer := replyBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= keepBuffer {
			buffer.Reset()
			replyBuffers.Put(buffer)
		}
	}()
	_, err := buffer.ReadFrom(io.LimitReader(resp.Body, maxReply+1))
	body := buffer.Bytes()
	if err != nil {
		return nil, x.unread(ctx, err)
	}
	if len(body) > maxReply {
		e := x.failure()
		e.Class, e.Message, e.Err = ClassPermanent, fmt.Sprintf("the reply is larger than %d bytes", maxReply), ErrEventTooLarge
		return nil, e
	}
	env, ok := envelopeOf(body)
	if x.logID == "" {
		x.logID = x.line(env.logID(), maxLogID)
	}
	if ok && env.Code == 0 && resp.StatusCode < 300 {
		return &env, nil
	}
	e := x.failure()
	e.Code = int(env.Code)
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
	if e.Code != 0 || (resp.StatusCode >= 300 && resp.StatusCode < 500) {
		e.Zone = ZoneRefused
	}
	e.judge(x.client.Codes)
	return nil, e
}

// unread is the failure of a reply that did not come whole.
func (x *exchange) unread(ctx context.Context, err error) *Error {
	e := x.failure()
	if e.Status >= 300 && e.Status < 500 {
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
		x.call.page.FirstID, x.call.page.LastID = string(env.FirstID), string(env.LastID)
		x.call.page.HasMore = env.HasMore == "true" || env.HasMore == "1"
	}
	if raw := env.content(); raw != nil {
		if err := json.Unmarshal(raw, target); err != nil {
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

// interrupted tells whether, and by whom, a call was ended from this side: "" if it was not.
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

// retryAfter reads a Retry-After header: seconds or an HTTP date; 0 for none and for the past.
func retryAfter(header string) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		const day = 24 * 60 * 60 // no server means more, and more would overflow
		return time.Duration(min(max(seconds, 0), day) * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
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
