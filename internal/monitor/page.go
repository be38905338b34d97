package monitor

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
)

// Of asynqmon's page: what is left out, fonts from elsewhere and a manifest that browsers
// fetch without logging in; and its scripts.
var (
	doctype = []byte("<!doctype html>")
	leftOut = regexp.MustCompile(`<link[^>]*\b(href="https?://|rel="manifest")[^>]*>`)
	script  = []byte("<script>")
	headEnd = []byte("</head>")
)

// style makes texts readable: asynqmon shows payloads without line breaks, in a box of
// 400 pixels. The fonts are those that have Chinese in its Chinese shapes. Words lose the
// colours of a program's text; the box keeps its own, as around it, on the page of Redis,
// the text is black in the dark theme, too. The names beside a long text keep their width.
const style = `<style>
body, pre, pre * { font-family: Roboto, "Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif }
pre, pre code, pre span { white-space: pre-wrap !important; overflow-wrap: anywhere }
pre code, pre span { color: inherit !important; font-style: normal !important }
pre { line-height: 1.5; max-width: none !important }
.MuiTypography-subtitle2 { flex: none }
td pre { min-width: 200px; max-height: 16em; overflow-y: auto !important }
.MuiContainer-maxWidthLg { max-width: 1600px }
td.MuiTableCell-root, th.MuiTableCell-root { padding-left: 10px; padding-right: 10px }
@supports selector(:has(a)) {
	.MuiGrid-grid-md-6:has(pre) { flex-basis: 100%; max-width: 100% }
	div:has(> div > pre) { align-items: flex-start !important }
}
</style>`

// notice tells of a button that did nothing: asynqmon's page keeps that to itself.
const notice = `(function () {
	var open = XMLHttpRequest.prototype.open;
	XMLHttpRequest.prototype.open = function (method) {
		if (method.toUpperCase() !== "GET") {
			this.addEventListener("load", function () { if (this.status >= 400) alert(this.responseText); });
		}
		return open.apply(this, arguments);
	};
})();`

// page serves asynqmon's page, and the images around it. The page loads nothing from
// other sites: a browser without a way out would wait for its fonts, and others need
// not know who looks at what. A policy keeps it so, whatever stands in an answer.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	if !bytes.HasPrefix(rep.body, doctype) {
		rep.send(w)
		return
	}
	head := style
	if h.Write {
		head += "<script>" + notice + "</script>"
	}
	nonce := rand.Text()
	body := leftOut.ReplaceAll(rep.body, nil)
	body = bytes.Replace(body, headEnd, append([]byte(head), headEnd...), 1)
	rep.body = bytes.ReplaceAll(body, script, []byte(`<script nonce="`+nonce+`">`))
	rep.header.Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'nonce-"+nonce+
		"'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	rep.send(w)
}

// asynqmon's lists show of an id what stands before its first hyphen. That is the same for all rows of a run, and for all
// UUIDs that were made within a minute: the first 8 digits of a UUIDv7 are its time. A UUID's last 12 are random, and a
// row's id ends with its number.
var (
	shortID = regexp.MustCompile(`function (\w+)\(e\)\{var t=e\.indexOf\("-"\);return-1===t\?e:e\.substr\(0,t\)\}`)
	idEnd   = []byte(`function ${1}(e){return e.length>20?"\u2026"+e.substr(-12):e}`)
)

// static serves the scripts: 1.3 MB under names that change with their content.
func (h *handler) static(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	if strings.HasSuffix(r.URL.Path, ".js") && !bytes.HasPrefix(rep.body, doctype) {
		rep.body = shortID.ReplaceAll(rep.body, idEnd)
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	rep.send(w)
}
