package dashboard

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
)

// Parts of asynqmon's page: fonts of another site and a manifest that browsers fetch without credentials, both removed; and
// its scripts.
var (
	doctype = []byte("<!doctype html>")
	leftOut = regexp.MustCompile(`<link[^>]*\b(href="https?://|rel="manifest")[^>]*>`)
	script  = []byte("<script>")
	headEnd = []byte("</head>")
)

// style makes texts readable: asynqmon shows payloads without line breaks in a box of 400 pixels. It names fonts with
// Chinese glyph shapes, removes syntax colours from the text, keeps the box's own colours (text on the page of Redis is
// black in the dark theme too), and fixes the width of names beside a long text.
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

// notice shows why a button did nothing: asynqmon's page does not.
const notice = `(function () {
	var open = XMLHttpRequest.prototype.open;
	XMLHttpRequest.prototype.open = function (method) {
		if (method.toUpperCase() !== "GET") {
			this.addEventListener("load", function () { if (this.status >= 400) alert(this.responseText); });
		}
		return open.apply(this, arguments);
	};
})();`

// page serves asynqmon's page and its images. The page loads nothing from other sites, so it works offline and tells nobody
// what is looked at. A content security policy enforces that, whatever an answer contains.
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

// asynqmon's lists show an id up to its first hyphen. That part is the same for all rows of a run, and for all UUIDv7 of
// the same minute: their first 8 digits are the time. The last 12 digits of a UUID are random, and a row's id ends with
// its number.
var (
	shortID = regexp.MustCompile(`function (\w+)\(e\)\{var t=e\.indexOf\("-"\);return-1===t\?e:e\.substr\(0,t\)\}`)
	idEnd   = []byte(`function ${1}(e){return e.length>20?"\u2026"+e.substr(-12):e}`)
)

// static serves the scripts, 1.3 MB; their names change with their content.
func (h *handler) static(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	if strings.HasSuffix(r.URL.Path, ".js") && !bytes.HasPrefix(rep.body, doctype) {
		rep.body = shortID.ReplaceAll(rep.body, idEnd)
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	rep.send(w)
}
