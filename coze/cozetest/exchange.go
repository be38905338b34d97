package cozetest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is Coze's bound for the body of a chat.
const maxBody = 15 << 20

// exchange is one call: a request and its reply.
type exchange struct {
	fake  *Fake
	w     http.ResponseWriter
	r     *http.Request
	route route
	entry Request // what the log will say of it
}

func bearer(r *http.Request) string {
	t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return strings.TrimSpace(t)
}

// decode reads a JSON body into v. An empty one leaves v alone.
func (x *exchange) decode(v any) *refusal {
	body, err := io.ReadAll(x.r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(codeParameter, "the body is over 15 MB").at(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return refuse(codeParameter, "the body ended early")
	}
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return refuse(codeParameter, "not a valid json or chat request")
	}
	return nil
}

// read decodes a call's body and checks it. Without a refusal it reports true.
func (x *exchange) read(v any, check func() *refusal) bool {
	r := x.decode(v)
	if r == nil && check != nil {
		r = check()
	}
	if r != nil {
		x.refuse(r.at(max(r.status, http.StatusBadRequest)))
	}
	return r == nil
}

// within answers with what f appends about a conversation, or refuses as f does. f is called with Fake.mu held.
func (x *exchange) within(id string, f func(c *conversation, dst []byte) ([]byte, *refusal)) {
	var data []byte
	r := refuse(codeConversation, "")
	x.fake.mu.Lock()
	if c := x.fake.conversation(id); c != nil {
		data, r = f(c, nil)
	}
	x.fake.mu.Unlock()
	if r != nil {
		x.refuse(r.at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte { return append(dst, data...) })
}

// met plays the scripted fault of a call that is not a chat. It returns false
// when the reply is over with it.
func (x *exchange) met(question string) bool {
	f := x.fake
	f.mu.Lock()
	ft := f.book.pick(x.route.on, question, nil)
	f.mu.Unlock()
	if ft == nil {
		return true
	}
	x.entry.Fault = ft.Kind
	if ft.Kind == Stall {
		if ft.For == 0 {
			x.log(0, 0)
			x.hang()
			return false
		}
		return x.sleep(ft.For)
	}
	x.fault(ft)
	return false
}

// log puts the exchange on record. Every exchange does so once, before the
// first byte of its reply.
func (x *exchange) log(status, code int) {
	x.entry.Status, x.entry.Code = status, code
	x.fake.mu.Lock()
	x.fake.journal.add(x.entry)
	x.fake.mu.Unlock()
	if x.fake.cfg.Log != nil {
		x.fake.cfg.Log(x.entry)
	}
}

// sleep waits for d. It returns false when the client or the fake is gone first.
func (x *exchange) sleep(d time.Duration) bool { return d <= 0 || x.wait(d, nil) == nil }

// hang waits until the client or the fake is gone.
func (x *exchange) hang() { _ = x.wait(forever, nil) }

const forever time.Duration = -1

// wait returns errCanceled when canceled is closed before d is over, and errGone when the client or the fake is gone.
func (x *exchange) wait(d time.Duration, canceled <-chan struct{}) error {
	var over <-chan time.Time
	if d != forever {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return nil
	case <-canceled:
		return errCanceled
	case <-x.r.Context().Done():
	case <-x.fake.quit:
	}
	return errGone
}

// pick returns the fault that a call about a question meets; one without a Kind is none. The caller holds mu.
func (x *exchange) pick(on, question string, directives []Rule) *Fault {
	ft := x.fake.book.pick(on, question, directives)
	if ft == nil {
		ft = &Fault{}
	}
	x.entry.Fault = ft.Kind
	return ft
}
