package cozetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze/cozetest"
)

func TestLoadScript(t *testing.T) {
	script, err := cozetest.LoadScript(strings.NewReader(`{"rules": [
		{"contains": "weather", "fault": "refuse", "code": 4013, "times": 2},
		{"match": "^slow", "fault": "stall", "after": 3, "for": "30s"},
		{"on": "retrieve", "nth": 7, "fault": "limit", "status": 429, "for": 1.5, "date": true, "msg": "m"},
		{"percent": 1.5, "fault": "cut", "bytes": 9, "mid_json": true, "reset": true, "then": "failed", "behind": "2s"},
		{"fault": "hangup", "created": true},
		{"pace": "40ms", "latency": 2, "deltas": 25, "lines": "crlf,bom", "done": "none", "answer": "two words",
		 "size": 7, "answers": 2, "empty": false, "reasoning": true}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := cozetest.Script{
		{Contains: "weather", Times: 2, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4013}},
		{Match: "^slow", Fault: cozetest.Fault{Kind: cozetest.Stall, After: 3, For: 30 * time.Second}},
		{On: "retrieve", Nth: 7, Fault: cozetest.Fault{Kind: cozetest.Limit, Status: 429, For: 1500 * time.Millisecond, Date: true, Msg: "m"}},
		{Percent: 1.5, Fault: cozetest.Fault{Kind: cozetest.Cut, Bytes: 9, MidJSON: true, Reset: true, Then: cozetest.Failed, Behind: 2 * time.Second}},
		{Fault: cozetest.Fault{Kind: cozetest.Hangup, Created: true}},
		{Fault: cozetest.Fault{Pace: 40 * time.Millisecond, Latency: 2 * time.Second, Deltas: 25, Lines: "crlf,bom", Done: "none",
			Answer: "two words", Size: 7, Answers: 2, Reasoning: true}},
	}
	if len(script) != len(want) {
		t.Fatalf("%d rules, want %d", len(script), len(want))
	}
	for i := range want {
		if want[i].On == "" {
			want[i].On = "chat"
		}
		got := script[i]
		if got.Fault != want[i].Fault || got.On != want[i].On || got.Contains != want[i].Contains || got.Match != want[i].Match ||
			got.Nth != want[i].Nth || got.Times != want[i].Times || got.Percent != want[i].Percent {
			t.Errorf("rule %d: %+v, want %+v", i+1, got, want[i])
		}
	}
	if _, err := cozetest.LoadScript(strings.NewReader(`{"rules":[]}`)); err != nil {
		t.Errorf("an empty script: %v", err)
	}
}

func TestLoadScriptErrorsSayWhere(t *testing.T) {
	for script, want := range map[string]string{
		``:                           "line 1: unexpected EOF",
		`[]`:                         "line 1: found [ where { belongs",
		`{"rules": {}}`:              "line 1: found { where [ belongs",
		`{"rule": []}`:               `line 1: unknown field "rule"`,
		`{"rules": []} x`:            "line 1:",
		"{\"rules\": [\n{\"a\":1}]}": `line 2: rule 1: unknown field "a"`,
		"{\"rules\": [\n{},\n{\"fault\":\"cat\"}]}":            `line 3: rule 2: unknown fault "cat"; one of ["refuse"`,
		"{\"rules\": [\n{\"times\":\"x\"}]}":                   `line 2: rule 1: times: "x" is not a value for it: invalid syntax`,
		"{\"rules\": [\n{\"after\":{}}]}":                      `line 2: rule 1: after: found {`,
		"{\"rules\": [{\"code\":1.5}]}":                        `rule 1: code: "1.5" is not a value for it`,
		"{\"rules\": [{\"for\":\"soon\"}]}":                    `rule 1: for: "soon"`,
		"{\"rules\": [{\"match\":\"(\"}]}":                     `rule 1: match: error parsing regexp`,
		"{\"rules\": [{\"percent\":101}]}":                     `rule 1: percent 101 is not between 0 and 100`,
		"{\"rules\": [{\"percent\":\"NaN\"}]}":                 `rule 1: percent NaN`,
		"{\"rules\": [{\"on\":\"moon\"}]}":                     `rule 1: on "moon"; one of`,
		"{\"rules\": [{\"on\":\"cancel\",\"fault\":\"cut\"}]}": `rule 1: fault "cut" cannot happen on "cancel"`,
		"{\"rules\": [{\"nth\":-1}]}":                          `rule 1: nth and times are not negative`,
		"{\"rules\": [{\"after\":-1}]}":                        `rule 1: after, bytes, size, answers, deltas and rounds count from 0`,
		"{\"rules\": [{\"pace\":-1}]}":                         `rule 1: for, pace, latency and behind are not negative`,
		"{\"rules\": [{\"status\":7}]}":                        `rule 1: status 7 is no HTTP status`,
		"{\"rules\": [{\"fault\":\"refuse\",\"status\":204}]}": `rule 1: status 204 cannot carry a body`,
		"{\"rules\": [{\"then\":\"maybe\"}]}":                  `rule 1: then "maybe"`,
		"{\"rules\": [{\"done\":\"maybe\"}]}":                  `rule 1: done "maybe"`,
		"{\"rules\": [{\"lines\":\"lf\"}]}":                    `rule 1: lines "lf"`,
		"{\"rules\": [{\"lines\":\"cr,crlf\"}]}":               `exclude each other`,
		"{\"rules\": [{\"size\":999999999}]}":                  `rule 1: size 999999999 is over`,
		"{\"rules\": [{\"size\":1":                             "line 1: rule 1: unexpected EOF",
		"{\"rules\": [\n\n{\"size\" 1}]}":                      "line 3: rule 1: invalid character",
	} {
		_, err := cozetest.LoadScript(strings.NewReader(script))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "script: line ") {
			t.Errorf("%s\nerror %v\nwant  %s", script, err, want)
		}
	}
	broken := errors.New("disk")
	if _, err := cozetest.LoadScript(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("reader's error: %v", err)
	}
}

func TestNewHandlerRefusesBadRules(t *testing.T) {
	_, err := cozetest.NewHandler(cozetest.Config{Rules: cozetest.Script{{}, {Fault: cozetest.Fault{Kind: "cat"}}}})
	if err == nil || !strings.Contains(err.Error(), "rule 2") {
		t.Errorf("error %v", err)
	}
	srv := cozetest.New(t)
	if err := srv.SetRules(cozetest.Rule{Match: "("}); err == nil {
		t.Error("SetRules took a bad expression")
	}
}

func TestRulesApplyInOrderAndRunOut(t *testing.T) {
	refuse := func(code, times int) cozetest.Rule {
		return cozetest.Rule{Contains: "q", Times: times, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: code}}
	}
	srv := cozetest.New(t, cozetest.WithRules(
		cozetest.Rule{Nth: 2, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4009}},
		refuse(4013, 2), refuse(4020, 1),
		cozetest.Rule{Match: "^x+$", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4014}},
	))
	c := callerOf(t, srv)
	for i, tc := range []struct {
		question string
		code     int
	}{
		{"q1", 4013}, {"q1", 4009}, {"q1", 4013}, {"q2", 4013}, {"q1", 4020}, {"q1", 0}, {"q2", 4013}, {"q2", 4020}, {"xxx", 4014}, {"xxxy", 0}, {"q2", 0},
	} {
		if code, _ := c.ask("", tc.question, false).envelope(t); code != tc.code {
			t.Errorf("ask %d, %s: code %d, want %d", i+1, tc.question, code, tc.code)
		}
	}
}

func TestPercent(t *testing.T) {
	const asks = 2000
	run := func(seed uint64) (hit int, pattern string) {
		srv := cozetest.New(t, func(c *cozetest.Config) { c.Seed = seed },
			cozetest.WithRules(cozetest.Rule{Percent: 10, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4013}}))
		c := callerOf(t, srv)
		for i := range asks {
			code, _ := c.ask("", fmt.Sprint("question ", i/2), false).envelope(t)
			if code == 4013 {
				hit++
			}
			pattern += fmt.Sprint(code, " ")
		}
		return hit, pattern
	}
	hit, pattern := run(1)
	// 10 % of 2000 with a standard deviation of 13.4: five of them either way.
	if hit < 200-67 || hit > 200+67 {
		t.Errorf("%d of %d met the fault, want about 200", hit, asks)
	}
	if _, again := run(1); again != pattern {
		t.Error("the same seed picked other asks")
	}
	if _, other := run(2); other == pattern {
		t.Error("another seed picked the same asks")
	}
}

func TestDirectives(t *testing.T) {
	for question, want := range map[string]string{
		"hello [[mock:code=4013 times=1]] world":                  `4013, Mock answer to "hello world".`,
		"[[mock:refuse=4009 times=2]]x":                           `4009, 4009, Mock answer to "x".`,
		"[[mock:limit=7s times=1]] x":                             `4013, Mock answer to "x".`,
		"[[mock:fail=5000 times=1]] x":                            `failed 5000, Mock answer to "x".`,
		"x [[mock:expired times=1]]":                              `4002, Mock answer to "x".`,
		"x [[mock:error=4016 times=1]]":                           `error 4016, Mock answer to "x".`,
		"x [[mock:answer=y deltas=1]]":                            `y`,
		"x [[mock:code=4009 times=1]] [[mock:code=4020 times=1]]": `4009, 4020, Mock answer to "x".`,
		"no [[mock]] here":                                        `Mock answer to "no [[mock]] here".`,
	} {
		c := callerOf(t, cozetest.New(t))
		var got []string
		for range 4 {
			r := c.ask("", question, true)
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
				code, _ := r.envelope(t)
				got = append(got, fmt.Sprint(code))
				continue
			}
			done := false
			for _, e := range r.events(t) {
				switch {
				case e.Name == "error":
					got = append(got, fmt.Sprint("error ", decoded[struct{ Code int }](t, e.Data).Code))
				case e.Name == "conversation.chat.failed":
					got = append(got, fmt.Sprint("failed ", e.chat(t).LastError.Code))
				case e.Name == "conversation.message.completed" && e.message(t).Type == "answer":
					got = append(got, e.message(t).Content)
					done = true
				}
			}
			if done {
				break
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s\n%s, want\n%s", question, s, want)
		}
	}
}

func TestWrongDirectivesAreExplained(t *testing.T) {
	for question, want := range map[string]string{
		"[[mock:cut=5":               "is not closed with ]]",
		"[[mock:cat]]":               `unknown field "cat"`,
		"[[mock:cut=five]]":          `after: "five" is not a value for it`,
		"[[mock:cut stall]]":         "both cut and stall",
		"[[mock:cut match=x]]":       "match is for scripts",
		"[[mock:lines=upside-down]]": `lines "upside-down"`,
		"[[mock:size=1000000000]]":   "is over",
	} {
		c := callerOf(t, cozetest.New(t))
		r := c.ask("", question, true)
		if code, _ := r.envelope(t); code != 4000 || !strings.Contains(strings.ReplaceAll(r.Body, `\"`, `"`), want) {
			t.Errorf("%s: %s, want %s", question, r.Body, want)
		}
		c = callerOf(t, cozetest.New(t, func(c *cozetest.Config) { c.NoDirectives = true }))
		if len(c.ask("", question, true).events(t)) < 10 {
			t.Errorf("%s is no plain text with NoDirectives", question)
		}
	}
}

func FuzzLoadScript(f *testing.F) {
	f.Add(`{"rules":[{"fault":"cut","after":3,"for":"1s"},{"percent":5,"lines":"cr,swap"}]}`)
	f.Add(`{"rules":[{"on":"retrieve","fault":"limit","for":7}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		script, err := cozetest.LoadScript(strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "script: line ") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		fake, err := cozetest.NewHandler(cozetest.Config{Rules: script})
		if err != nil {
			t.Fatalf("loaded, and refused by NewHandler: %v", err)
		}
		fake.Close()
	})
}

func FuzzDirectives(f *testing.F) {
	for _, q := range []string{"[[mock:cut=5 then=failed]] q", "[[mock:hangup created]]", "[[mock:stall=1ms after=3]] [[mock:limit=7s date]]",
		"[[mock:lines=cr,bom,comments,multi,swap,nofinal done=debug_url]]", "[[mock:answers=3 reasoning]] 数据", "[[mock:endless]]", "[[mock:bytes=3"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, question string) {
		if strings.Contains(question, "size") || strings.Contains(question, "answers") {
			t.Skip("large answers only make this slow")
		}
		fake, err := cozetest.NewHandler(cozetest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer fake.Close()
		body, err := json.Marshal(map[string]any{"bot_id": "1", "user_id": "u", "stream": true,
			"additional_messages": []any{map[string]any{"role": "user", "content": question, "content_type": "text"}}})
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // so that nothing waits
		req := httptest.NewRequestWithContext(gone, "POST", "/v3/chat", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer x")
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
			if n := len(fake.Requests()); n != 1 {
				t.Errorf("%d requests on record", n)
			}
		}()
		rec := httptest.NewRecorder()
		fake.ServeHTTP(rec, req)
		if !utf8.Valid(rec.Body.Bytes()) && !strings.Contains(question, "cut") {
			t.Errorf("not UTF-8: %q", rec.Body)
		}
	})
}
