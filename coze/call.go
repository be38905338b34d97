package coze

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type call struct {
	op, method, path       string
	conversationID, chatID string       // go into the query
	inBody                 bool         // the ids are in the body instead
	query                  string       // in place of the ids' query
	need                   string       // "conversation_id" or "chat_id" (both): do not send without
	asks                   bool         // its reply is a chat or a run, and may be a stream: its errors have a zone
	whole                  bool         // the reply has its fields beside the code, not in data
	beforeSend             func() error // see ChatRequest.BeforeSend
	body                   any          // nil = none
	upload                 *Upload      // in place of body
	alive                  func()       // with upload: see withIdle
	page                   *MessagePage
}

// replyTime bounds the wait for the reply to any call but a chat. Coze answers these within a second.
const replyTime = 30 * time.Second

// call sends a call and decodes its reply's data into target. An error is always an *Error.
func (c *Client) call(ctx context.Context, a call, target any) error {
	if a.need != "" && a.conversationID == "" {
		return invalid(a.op, "the conversation's id is empty")
	}
	if a.need == "chat_id" && a.chatID == "" {
		return invalid(a.op, "the chat's id is empty")
	}
	var cancel context.CancelFunc
	if a.upload == nil {
		ctx, cancel = context.WithTimeoutCause(ctx, c.idle(), ErrIdle)
	} else {
		ctx, a.alive, cancel = withIdle(ctx, c.idle())
	}
	defer cancel()
	x, env, err := c.try(ctx, a)
	if x.refusedToken(err) {
		if err = x.renew(ctx, err); err == nil {
			x, env, err = c.try(ctx, a)
		}
	}
	if err != nil {
		return err
	}
	return x.into(env, target)
}

// fetch makes a call whose reply's data is a T. An error is always an *Error.
func fetch[T any](ctx context.Context, c *Client, a call) (*T, error) {
	got := new(T)
	if err := c.call(ctx, a, got); err != nil {
		return nil, err
	}
	return got, nil
}

// try sends a call once and reads its reply.
func (c *Client) try(ctx context.Context, a call) (*exchange, *envelope, error) {
	x, resp, err := c.send(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	env, err := x.reply(ctx, resp)
	return x, env, err
}

// badBase is the error of an invalid base URL.
func (c *Client) badBase(op string) *Error {
	e := invalid(op, c.baseErr.Error())
	e.hint = "Set the base URL to " + DefaultBaseURL + " or " + BaseURLCom + "."
	return e
}

// invalid is an error of our own checks.
func invalid(op, message string) *Error {
	return &Error{Op: op, Message: message, Class: ClassInvalid}
}

// exchange is a call in progress, with what its errors need.
type exchange struct {
	client *Client
	call   call
	token  string
	sent   sent
	status int
	logID  string
}

// send sends a call and returns when the reply's headers are there, with any status. An error is always an *Error.
func (c *Client) send(ctx context.Context, a call) (*exchange, *http.Response, error) {
	c.once.Do(c.setUp)
	x := &exchange{client: c, call: a}
	x.sent.http1, x.sent.consent.ask = c.http1.Load(), a.beforeSend
	if c.baseErr != nil {
		return nil, nil, c.badBase(a.op)
	}
	header, token, err := c.authorize(ctx)
	if err != nil {
		return nil, nil, x.unauthorized(ctx, err)
	}
	x.token = token
	if err := ctx.Err(); err != nil {
		return nil, nil, x.unanswered(ctx, err)
	}
	if !a.asks && a.upload == nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx) // call ends it
		defer time.AfterFunc(replyTime, func() { cancel(ErrNoReply) }).Stop()
	}
	ctx = x.sent.through(ctx, c.client)
	req, err := x.request(header)
	if err != nil {
		e := invalid(a.op, "the request cannot be written")
		e.Err = err
		return nil, nil, e
	}
	resp, err := c.client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, x.unanswered(ctx, err)
	}
	if err := x.sent.consent.refusal(); err != nil { // the server has answered half a question
		_ = resp.Body.Close()
		return nil, nil, x.unanswered(ctx, err)
	}
	if http1 := resp.ProtoMajor == 1; http1 != x.sent.http1 {
		c.http1.Store(http1)
	}
	x.status = resp.StatusCode
	if x.logID = resp.Header.Get("X-Tt-Logid"); x.logID == "" {
		x.logID = resp.Header.Get("X-Log-Id")
	}
	x.logID = x.line(x.logID, maxLogID)
	return x, resp, nil
}

// unauthorized is the failure of a call without a token; err says why there is none.
func (x *exchange) unauthorized(ctx context.Context, err error) *Error {
	e := x.failure()
	e.Zone = ZoneRefused
	if class, cause := interrupted(ctx); class != "" {
		e.Class, e.Err = class, cause
		return e
	}
	if told, ok := errors.AsType[*Error](err); ok {
		own := *told // says more than "no token"
		own.Zone = ZoneRefused
		return &own
	}
	e.Err, e.Class, e.Scope, e.hint = err, ClassAuth, ScopeAccount, hintToken.EN
	return e
}

// request is the call as an http.Request, built on the parsed base URL.
func (x *exchange) request(header http.Header) (*http.Request, error) {
	u := x.client.base
	u.Path += x.call.path
	u.RawPath = ""
	if !x.call.inBody {
		u.RawQuery = cmp.Or(x.call.query, query(x.call.conversationID, x.call.chatID))
	}
	req := &http.Request{
		Method: x.call.method, URL: &u, Host: u.Host, Header: maps.Clone(header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	switch {
	case x.call.upload != nil:
		return req, x.call.upload.attach(req, x.call.alive)
	case x.call.body == nil:
		return req, nil
	}
	content, err := json.Marshal(x.call.body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(content))
	req.GetBody = func() (io.ReadCloser, error) { return x.sent.body(content), nil }
	req.Body, err = req.GetBody()
	return req, err
}

func query(conversationID, chatID string) string {
	switch {
	case conversationID == "":
		return ""
	case chatID == "":
		return "conversation_id=" + url.QueryEscape(conversationID)
	}
	return "conversation_id=" + url.QueryEscape(conversationID) + "&chat_id=" + url.QueryEscape(chatID)
}

// failure is an Error of this exchange, with the zone to assume unless more is known.
func (x *exchange) failure() *Error {
	e := &Error{Op: x.call.op, Status: x.status, LogID: x.logID}
	if x.call.asks {
		e.Zone = ZoneUnknown
	}
	if !x.call.asks || x.call.chatID != "" {
		e.ConversationID, e.ChatID = x.call.conversationID, x.call.chatID
	}
	return e
}

// unanswered is the failure of a call without a reply.
func (x *exchange) unanswered(ctx context.Context, err error) *Error {
	e := x.failure()
	if !x.sent.may() {
		e.Zone = ZoneRefused
	}
	timeout, _ := errors.AsType[net.Error](err)
	switch class, cause := interrupted(ctx); {
	case class == "" && isError[*contentError](err):
		e.Class, e.Err = ClassInvalid, err
	case errors.Is(cause, ErrNoReply), errors.Is(cause, ErrIdle), class == "" && timeout != nil && timeout.Timeout() && x.sent.may():
		e.Class, e.Err, e.Unreached, e.hint = ClassTransient, ErrNoReply, true, hintNoReply.EN
	case class != "":
		e.Class, e.Err = class, cause
		return e
	case x.sent.consent.refusal() != nil:
		e.Class, e.Err = ClassTransient, x.sent.consent.refusal() // net/http's own error says less
	default:
		e.unreached(err, !x.sent.may())
	}
	e.Message = x.line(e.Err.Error(), maxMessage)
	return e
}

// line makes a server's text fit for Error.Message and hides the token in it: some gateways echo headers.
func (x *exchange) line(s string, limit int) string {
	return bounded(x.hide(s), limit)
}

func (x *exchange) hide(s string) string {
	if x.token == "" {
		return s
	}
	return strings.ReplaceAll(s, x.token, redacted)
}

// adopt gives a chat what [Chat.Err] needs of its call. The chat's last error may echo what a plugin or a gateway was
// sent, so the token is hidden in it.
func (x *exchange) adopt(chat *Chat) {
	chat.codes, chat.logID = x.client.Codes, x.logID
	if chat.LastError != nil {
		chat.LastError.Message = x.hide(chat.LastError.Message)
	}
}
