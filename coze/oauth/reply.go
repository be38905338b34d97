package oauth

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// reply is the endpoint's reply in any of its forms: a token, an OAuth error or Coze's usual envelope.
type reply struct {
	token     string
	expires   int64  // unix seconds
	errorCode string // invalid_client, ...
	message   string
	code      int // of an envelope
	logID     string
	raw       []byte
}

func parse(content []byte) reply {
	r := reply{raw: content}
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) != nil {
		return r
	}
	first := func(names ...string) string {
		for _, name := range names {
			if t := text(fields[name]); t != "" {
				return t
			}
		}
		return ""
	}
	r.token = strings.TrimSpace(first("access_token"))
	r.expires, _ = strconv.ParseInt(first("expires_in"), 10, 64)
	r.errorCode = first("error_code", "error")
	r.message = first("error_message", "error_description", "msg", "message")
	r.code, _ = strconv.Atoi(first("code"))
	var detail struct {
		LogID json.RawMessage `json:"logid"`
	}
	if json.Unmarshal(fields["detail"], &detail) == nil {
		r.logID = text(detail.LogID)
	}
	return r
}

// text is a JSON string or number as text, "" for any other value.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// What a person can do.
const (
	hintApp = "Check the OAuth app at Coze: its client id, the public key's id, the private key that belongs to it, " +
		"and that the base URL is of the app's region (" + coze.DefaultBaseURL + " or " + coze.BaseURLCom + ")."
	hintClock = "Set this machine's clock: it is %s %s Coze's."
)

// failure judges a reply without a token.
func (r reply) failure(resp *http.Response, began time.Time, assertion string) *coze.Error {
	status := resp.StatusCode
	e := &coze.Error{Op: op, Status: status, Code: r.code, LogID: r.logID, RetryAfter: retryAfter(resp)}
	if id := resp.Header.Get("X-Tt-Logid"); id != "" {
		e.LogID = id
	}
	e.LogID = oneLine(e.LogID, 100)
	said := r.message
	switch {
	case r.errorCode != "" && said != "":
		said = r.errorCode + ": " + said
	case r.errorCode != "":
		said = r.errorCode
	case said != "" || r.code != 0:
	case len(r.raw) == 0:
		said = "the reply is empty"
	case status < 300 || r.token != "":
		said = "the reply has no token where one should be" // it may have one elsewhere: do not show it
	default:
		said = "the reply is not known: " + string(r.raw)
	}
	if status >= 300 && status < 400 {
		said = "the server redirects to " + cmp.Or(coze.RedirectTarget(resp), "nowhere") + "; no redirect is followed"
	}
	said = strings.ReplaceAll(said, assertion, "[redacted]") // some gateways echo what they were sent
	e.Message = oneLine(said[:min(len(said), 1600)], 400)
	switch row := coze.DefaultCodes().Classify(r.code, status); {
	case r.errorCode == "internal_error", r.errorCode == "server_error", r.errorCode == "temporarily_unavailable", status >= 500:
		e.Class = coze.ClassTransient
	case r.errorCode == "slow_down", status == http.StatusTooManyRequests:
		e.Class, e.Scope = coze.ClassRate, coze.ScopeAccount
	case status < 300 && r.code == 0 && len(r.raw) > 0 && !json.Valid(r.raw):
		e.Class, e.Scope = coze.ClassEndpoint, coze.ScopeAccount
	case r.errorCode == "" && row.Class != coze.ClassPermanent && row.Class != coze.ClassAuth:
		e.Class, e.Scope = row.Class, row.Scope
		if e.Class == coze.ClassEndpoint {
			return e.WithHint(row.Hint.EN)
		}
	default:
		e.Class, e.Scope = coze.ClassAuth, coze.ScopeAccount
		return e.WithHint(hint(resp, began))
	}
	return e
}

// hint is about the clock if that explains the refusal.
func hint(resp *http.Response, began time.Time) string {
	if there, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		switch off := began.Sub(there); {
		case off > assertionSkew:
			return fmt.Sprintf(hintClock, inWords(off), "ahead of")
		case off < -assertionLife:
			return fmt.Sprintf(hintClock, inWords(-off), "behind")
		}
	}
	return hintApp
}

// inWords is how far off a clock is: more than assertionSkew.
func inWords(off time.Duration) string {
	if off < 3*time.Hour {
		return fmt.Sprintf("%.0f min", off.Minutes())
	}
	return fmt.Sprintf("%.0f h", off.Hours())
}

// retryAfter reads a Retry-After in seconds; 0 for none, and for the rare date.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After")))
	if err != nil {
		return 0
	}
	return time.Duration(min(max(seconds, 0), 24*60*60)) * time.Second
}

// oneLine makes a server's text one line of valid UTF-8 without control characters, at most limit bytes.
func oneLine(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit-3], "") + "..."
	}
	return s
}
