package cozetest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// lenient reads an event stream by the letter of the HTML standard, as slowly as
// it likes: it is the judge of the odd forms. Data that ends the stream without
// an empty line counts, as Coze's readers have to have it.
func lenient(body string) []event {
	body = strings.TrimPrefix(body, "\ufeff")
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)
	var out []event
	var name string
	var data []string
	for line := range strings.SplitSeq(body+"\n\n", "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if len(data) > 0 && name != "PING" {
				out = append(out, event{name, strings.Join(data, "\n")})
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value)
		}
	}
	return out
}

func TestOddFormsSayTheSame(t *testing.T) {
	// Two servers hand out the same ids and differ in nothing but the clock.
	ask := func(lines string) string {
		c := one(t, cozetest.Fault{Lines: lines, Answer: "a,\"b\"\n\n{event: x}, 数据🙂"})
		r := c.ask("", "q", true)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Body
	}
	plain := lenient(ask(""))
	for lines, mark := range map[string]string{
		"crlf":                    "\r\n\r\n",
		"cr":                      "created\rdata:",
		"mixed":                   "created\r\ndata:",
		"space":                   "event: conversation.chat.created\ndata: {",
		"bom":                     "\ufeffevent:",
		"comments":                "\n:\n",
		"multi":                   ",\ndata:\"",
		"swap":                    "\nevent:done\n\n",
		"bytes":                   "\nevent:done\n",
		"nofinal":                 "event:done\ndata:\"[DONE]\"",
		"swap, nofinal":           "data:\"[DONE]\"\nevent:done",
		"crlf,space,comments,bom": "id: 7\r\n",
		"cr,multi,bytes,swap":     ",\rdata:\"",
	} {
		t.Run(lines, func(t *testing.T) {
			body := ask(lines)
			if !strings.Contains(body, mark) {
				t.Errorf("%q is not in the stream:\n%q", mark, body)
			}
			if strings.Contains(lines, "nofinal") && !strings.HasSuffix(strings.TrimSuffix(body, "\n"), mark) {
				t.Errorf("ends with %q", body[len(body)-20:])
			}
			got := lenient(body)
			if len(got) != len(plain) {
				t.Fatalf("%d events, want %d: %q", len(got), len(plain), names(got))
			}
			for i, e := range got {
				if e.Name != plain[i].Name {
					t.Errorf("event %d: %s, want %s", i, e.Name, plain[i].Name)
				}
			}
			is := func(e event) bool {
				return strings.Contains(e.Data, `"answer"`) && strings.HasSuffix(e.Name, "completed")
			}
			a, b := got[slices.IndexFunc(got, is)].message(t), plain[slices.IndexFunc(plain, is)].message(t)
			if a.Content != b.Content || a.ID != b.ID {
				t.Errorf("answer %+v, want %+v", a, b)
			}
		})
	}
}

func TestBytesComeOneAtATime(t *testing.T) {
	rec := &chunks{header: http.Header{}}
	fake, err := cozetest.NewHandler(cozetest.Config{Rules: cozetest.Script{{Fault: cozetest.Fault{Lines: "bytes", Answer: "数🙂"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	req := httptest.NewRequest("POST", "/v3/chat", strings.NewReader(
		`{"bot_id":"1","user_id":"u","stream":true,"additional_messages":[{"role":"user","content":"q","content_type":"text"}]}`))
	req.Header.Set("Authorization", "Bearer x")
	fake.ServeHTTP(rec, req)
	if rec.most != 1 || rec.flushes < rec.bytes {
		t.Errorf("%d bytes in writes of up to %d, %d flushes", rec.bytes, rec.most, rec.flushes)
	}
}

// chunks counts how a reply is written.
type chunks struct {
	header               http.Header
	bytes, most, flushes int
}

func (c *chunks) Header() http.Header { return c.header }
func (c *chunks) WriteHeader(int)     {}
func (c *chunks) Flush()              { c.flushes++ }

func (c *chunks) Write(b []byte) (int, error) {
	c.bytes += len(b)
	c.most = max(c.most, len(b))
	return len(b), nil
}
