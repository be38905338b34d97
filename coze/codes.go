package coze

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// Code is a row of the table: the meaning of one of Coze's codes.
type Code struct {
	Code    int // 0 in a row that Classify made for a status
	Class   Class
	Scope   Scope // what a pause for it has to cover
	Tries   int   // most asks that a task may spend on this code; 0 = the task's own budget
	Meaning Text  // a phrase
	Hint    Text  // a sentence: what a person can do
}

// CodeTable maps Coze's codes to their meaning. It is immutable; Override makes a changed copy.
type CodeTable struct{ rows map[int]Code }

// DefaultCodes is the built-in table.
func DefaultCodes() *CodeTable { return builtin() }

var builtin = sync.OnceValue(func() *CodeTable {
	t := &CodeTable{rows: make(map[int]Code, len(table))}
	for _, row := range table {
		t.rows[row.Code] = row
	}
	return t
})

// All is the table, sorted by code.
func (t *CodeTable) All() []Code {
	return slices.SortedFunc(maps.Values(t.rows), func(a, b Code) int { return cmp.Compare(a.Code, b.Code) })
}

// Lookup returns the row of a code.
func (t *CodeTable) Lookup(code int) (Code, bool) {
	row, ok := t.rows[code]
	return row, ok
}

// statusClientClosed is nginx's status for a client that closed the connection before the reply.
const statusClientClosed = 499

// Classify judges a reply by its code (0 = none) and HTTP status (0 = none). A listed code decides alone, then the status,
// then the range of the code. One exception: 4000 with HTTP 404 means a path that Coze does not have.
func (t *CodeTable) Classify(code, status int) Code {
	if code == codeParameter && status == http.StatusNotFound {
		return Code{Code: code, Class: ClassEndpoint, Scope: ScopeAccount, Meaning: noPath, Hint: hintEndpoint}
	}
	if row, ok := t.rows[code]; ok && code != 0 {
		return row
	}
	row := Code{Code: code, Class: ClassPermanent, Meaning: unknown}
	if code == 0 {
		word := "HTTP " + strconv.Itoa(status)
		row.Meaning = Text{word, word}
	}
	switch {
	case status == http.StatusTooManyRequests:
		row.Class, row.Scope = ClassRate, ScopeAccount
	case status == http.StatusUnauthorized:
		row.Class, row.Scope, row.Hint = ClassAuth, ScopeAccount, hintToken
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == statusClientClosed:
		row.Class = ClassTransient
	case code == 0 && status == http.StatusProxyAuthRequired, code == 0 && status == http.StatusNetworkAuthenticationRequired:
		row.Class, row.Scope, row.Hint = ClassEndpoint, ScopeAccount, hintProxy
	case code == 0 && ofEndpoint(status):
		row.Class, row.Scope = ClassEndpoint, ScopeAccount
	case status >= 500:
		row.Class = ClassTransient
	case status >= 400:
		row.Class = ClassPermanent
	case code == 0:
		row.Class, row.Meaning = ClassTransient, Text{"no code", "没有错误码"}
	case code >= 4000 && code < 5000:
		row.Class = ClassPermanent
	default: // 5xxx, 7 x 10^8 and above, and unknown codes: ask once more, then leave it to a person
		row.Class, row.Tries = ClassTransient, 2
	}
	if row.Hint == (Text{}) {
		row.Hint = row.Class.Hint()
	}
	return row
}

// ofEndpoint reports whether a status without a Coze code is about the endpoint and not about the question: a redirect, an
// unknown path or method. A 403 or a 413 may be about the question.
func ofEndpoint(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusMisdirectedRequest,
		http.StatusUpgradeRequired, http.StatusUnavailableForLegalReasons, http.StatusNotImplemented,
		http.StatusHTTPVersionNotSupported:
		return true
	}
	return status >= 300 && status < 400
}

// noPath is what 4000 means with HTTP 404.
var noPath = Text{"unknown path", "未知的接口路径"}

// unknown is the meaning of a code that is not in the table.
var unknown = Text{"unknown code", "未知错误码"}
