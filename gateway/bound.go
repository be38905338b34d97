package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// bodyGap bounds the wait for the next piece of a body. A client that sends a byte now and then must not hold a connection
// for ever, and one on a slow line may upload for long.
const bodyGap = 30 * time.Second

// maxDepth bounds the nesting of JSON. Coze's own shapes are five deep.
const maxDepth = 64

// bound limits what a request may send, unpacks it, and has read it before a handler sees it, but for files: what is wrong
// with a body is said in one place. It is next to the routes, so that it can name the route for the log.
func (g *Gateway) bound(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		callOf(r.Context()).route = pattern
		if r.Body != nil && r.Body != http.NoBody {
			if p := g.boundBody(w, r); p != nil {
				g.refuse(w, r, p)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

func (g *Gateway) boundBody(w http.ResponseWriter, r *http.Request) *problem {
	most, file := g.MaxBody, isUpload(r)
	if file {
		most += g.MaxUpload // the form around a file takes some room
	}
	body := io.ReadCloser(&steadyBody{r.Body, http.NewResponseController(w)})
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip":
		// The packed bytes are bounded as well: a body may be larger packed than not.
		unpacked, err := gzip.NewReader(http.MaxBytesReader(w, body, most))
		if err != nil {
			return bodyProblem(err)
		}
		body = &packedBody{unpacked, body}
		r.Header.Del("Content-Encoding")
		r.ContentLength = -1
	default:
		return fault(http.StatusUnsupportedMediaType, "Content-Encoding %q: send the body plain or as gzip", encoding)
	}
	if r.ContentLength > most {
		return bodyProblem(&http.MaxBytesError{Limit: most})
	}
	r.Body = http.MaxBytesReader(w, body, most)
	if file {
		r.Body = &fileBody{r.Body, isOpenAI(r)}
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return bodyProblem(err)
	}
	if !isForm(r.Header.Get("Content-Type")) && depth(text) > maxDepth {
		return fault(http.StatusBadRequest, "the body is nested deeper than %d", maxDepth)
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength = int64(len(text))
	return nil
}

func bodyProblem(err error) *problem {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, the most that this server takes (--max-body, for files --max-upload): upload files to Coze and give their ids, or give URLs of them", large.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault(http.StatusRequestTimeout, "no byte of the body came for %v: send it again", bodyGap)
	}
	return fault(http.StatusBadRequest, "the body is damaged or cut short: %v", err)
}

// fileBody says why it cannot be read as bodyProblem does, to a handler of either API.
type fileBody struct {
	io.ReadCloser
	openAI bool
}

func (b *fileBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.openAI {
		return n, openAIError(bodyProblem(err))
	}
	return n, bodyProblem(err)
}

// isUpload tells the routes that take a file, which is larger than a question and is never whole in memory.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && (r.URL.Path == "/v1/files" || r.URL.Path == batchesPath)
}

// steadyBody sets the connection's deadline anew before each read.
type steadyBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *steadyBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(bodyGap)) // a writer without deadlines is one of a test
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{}) // net/http reads on, to notice a client that hangs up
	}
	return n, err
}

type packedBody struct {
	*gzip.Reader
	packed io.Closer
}

func (b *packedBody) Close() error { return b.packed.Close() }

// depth is how deep JSON is nested. It need not be valid.
func depth(text []byte) (deepest int) {
	level, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
