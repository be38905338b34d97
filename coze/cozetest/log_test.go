package cozetest_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

func TestRequestsTellWhatHappened(t *testing.T) {
	srv := cozetest.New(t)
	c := callerOf(t, srv)
	conv := c.conversation()
	r := c.ask(conv, "q [[mock:cut=4]]", true)
	chat := r.events(t)[0].chat(t).ID
	c.retrieve(conv, chat)
	c.retrieve(conv, "1")
	got := srv.Requests()
	if len(got) != 4 {
		t.Fatalf("%d requests: %+v", len(got), got)
	}
	ask := got[1]
	if ask.Method != "POST" || ask.Path != "/v3/chat" || ask.ConversationID != conv || ask.ChatID != chat || ask.BotID != "7379" ||
		ask.UserID != "u" || ask.Question != "q [[mock:cut=4]]" || ask.MetaData["task"] != "t1" || !ask.Stream || ask.Fault != cozetest.Cut ||
		ask.Status != 200 || ask.Code != 0 || ask.Time.IsZero() || ask.LogID != r.Header.Get("X-Tt-Logid") {
		t.Errorf("ask: %+v", ask)
	}
	if poll := got[2]; poll.Path != "/v3/chat/retrieve" || poll.ChatID != chat || poll.Question != ask.Question || poll.Code != 0 {
		t.Errorf("retrieve: %+v", poll)
	}
	if lost := got[3]; lost.Code != 4001 || lost.Status != 400 {
		t.Errorf("retrieve of nothing: %+v", lost)
	}
	if srv.Calls("/v3/chat") != 1 || srv.Calls("/v3/chat/retrieve") != 2 || srv.Calls("/v3/chat/cancel") != 0 {
		t.Error("calls are miscounted")
	}
}

func TestKeepLog(t *testing.T) {
	for keep, want := range map[int][]string{0: {"/1", "/2", "/3", "/4", "/5"}, 2: {"/4", "/5"}, 5: {"/1", "/2", "/3", "/4", "/5"}, -1: nil} {
		srv := cozetest.New(t, func(c *cozetest.Config) { c.KeepLog = keep })
		c := callerOf(t, srv)
		for i := range 5 {
			c.call("GET", fmt.Sprintf("/%d", i+1), "")
		}
		var got []string
		for _, r := range srv.Requests() {
			got = append(got, r.Path)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("keep %d: %q, want %q", keep, got, want)
		}
	}
}

func TestCountsUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, slow)
		c := callerOf(t, srv)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { c.ask("", fmt.Sprint("q", i%20), true) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if srv.Running() != 40 {
			t.Errorf("%d running, want 40", srv.Running())
		}
		wg.Wait()
		if srv.Running() != 0 || srv.MaxRunning("") != 40 || srv.Accepted() != 40 || srv.Repeats() != 20 || srv.ByQuestion("q7") != 2 || srv.ByQuestion("no") != 0 {
			t.Errorf("running %d, at most %d, accepted %d, repeats %d, q7 %d", srv.Running(), srv.MaxRunning(""), srv.Accepted(), srv.Repeats(), srv.ByQuestion("q7"))
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, func(c *cozetest.Config) { c.Rate = 3 })
		c := callerOf(t, srv)
		conv := c.conversation()
		passed := 0
		call := func() {
			t.Helper()
			if code, _ := c.retrieve(conv, "1").envelope(t); code == 4001 {
				passed++
			} else if code != 4013 {
				t.Errorf("code %d", code)
			}
		}
		for range 10 {
			call()
		}
		if passed != 3 {
			t.Errorf("%d calls passed at once, want 3", passed)
		}
		if code, _ := c.ask(conv, "q", true).envelope(t); code != 4013 {
			t.Errorf("chat: code %d, want 4013", code)
		}
		c.conversation() // is not limited
		passed = 0
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			call()
		}
		if passed != 6 {
			t.Errorf("%d calls passed in 2 s, want 6", passed)
		}
	})
}

func TestRateOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := cozetest.NewInMemory(t, func(c *cozetest.Config) { c.Rate, c.RateHTTP = 0.25, true })
		c := callerOf(t, srv)
		c.retrieve("1", "1")
		r := c.retrieve("1", "1")
		if code, _ := r.envelope(t); code != 4013 || r.Status != 429 || r.Header.Get("Retry-After") != "4" {
			t.Errorf("status %d, Retry-After %q: %s", r.Status, r.Header.Get("Retry-After"), r.Body)
		}
		time.Sleep(4 * time.Second)
		if r := c.retrieve("1", "1"); r.Status != 400 {
			t.Errorf("after Retry-After: %d", r.Status)
		}
		srv.SetRate(0)
		for range 5 {
			if r := c.retrieve("1", "1"); r.Status != 400 {
				t.Errorf("without a rate: %d", r.Status)
			}
		}
	})
}
