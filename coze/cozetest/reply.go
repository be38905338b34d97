package cozetest

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is an envelope with a code, and the HTTP status that it comes with.
type refusal struct {
	code   int
	msg    string
	status int // 0: 200
	after  string
}

// refuse is a refusal; without a msg it has the code's own.
func refuse(code int, msg string) *refusal {
	return &refusal{code: code, msg: cmp.Or(msg, message(code))}
}

// at is the refusal as the calls other than chat give it: with a 4xx.
func (r *refusal) at(status int) *refusal {
	c := *r
	c.status = status
	return &c
}

// reply sends an envelope; data, when not nil, appends everything between the
// msg and the detail, comma first.
func (x *exchange) reply(data func(dst []byte) []byte) {
	x.log(http.StatusOK, 0)
	body := appendEnvelope(make([]byte, 0, 1024), 0, "")
	if data != nil {
		body = data(body)
	}
	x.send(http.StatusOK, body)
}

func (x *exchange) refuse(r *refusal) {
	status := max(r.status, http.StatusOK)
	if r.after != "" {
		x.w.Header().Set("Retry-After", r.after)
	}
	x.log(status, r.code)
	x.send(status, appendEnvelope(nil, r.code, r.msg))
}

func (x *exchange) send(status int, body []byte) {
	x.sendJSON(status, appendDetail(body, x.entry.LogID))
}

func (x *exchange) sendJSON(status int, body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	x.w.Write(body) // an error means that the client is gone, which is its affair
}

// fault plays a fault that replaces the whole reply. It does not return from a
// Hangup.
func (x *exchange) fault(ft *Fault) {
	if (ft.Kind == Hangup || ft.Kind == Gateway) && !x.sleep(ft.For) {
		x.log(0, 0)
		return
	}
	switch ft.Kind {
	case Hangup:
		x.log(0, 0)
		panic(http.ErrAbortHandler)
	case Gateway:
		status := cmp.Or(ft.Status, http.StatusBadGateway)
		x.log(status, 0)
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		x.w.Header().Set("Content-Type", "text/html")
		x.w.WriteHeader(status)
		io.WriteString(x.w, "<html>\r\n<head><title>"+title+"</title></head>\r\n<body>\r\n<center><h1>"+
			title+"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n")
	case Limit:
		r := &refusal{code: ft.code(), msg: ft.msg(), status: cmp.Or(ft.Status, http.StatusTooManyRequests)}
		switch {
		case ft.Date:
			// Rounded up: an HTTP date has no fractions, and asking too early is
			// what it is there to prevent.
			t := x.fake.cfg.now().Add(ft.For + time.Second - time.Nanosecond).UTC()
			r.after = t.Format(http.TimeFormat)
		case ft.For > 0:
			r.after = strconv.Itoa(int((ft.For + time.Second - 1) / time.Second))
		}
		x.refuse(r)
	default:
		x.refuse(&refusal{code: ft.code(), msg: ft.msg(), status: ft.Status})
	}
}

// logID is in the form of Coze's: a local time, then hexadecimal.
func logID(now time.Time, n uint64) string {
	tail := strings.ToUpper(strconv.FormatUint(mix(n), 16))
	return now.Format("20060102150405") + "00" + "0000000000000000"[:16-len(tail)] + tail
}
