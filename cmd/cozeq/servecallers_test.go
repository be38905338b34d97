package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callers are clients of two servers that come again at the other one, as behind a load balancer.
type callers struct {
	urls  [2]atomic.Value // of the servers; a new one after each start
	http  *http.Client
	hooks *hooks

	retries, resumed atomic.Int64
}

func (c *callers) start(t *testing.T) {
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(c.http.CloseIdleConnections)
	c.hooks = newHooks(t)
}

func (c *callers) summary() string {
	return fmt.Sprintf("%d requests were sent again, %d streams resumed, %s", c.retries.Load(), c.resumed.Load(), c.hooks.summary())
}

// askAll asks that many questions, so many at a time.
func (c *callers) askAll(ctx context.Context, questions, abreast int) error {
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	kinds := []func(context.Context, int) error{c.complete, c.watch, c.poll, c.background}
	for range abreast {
		wg.Go(func() {
			for i := range next {
				if err := kinds[i%len(kinds)](ctx, i); err != nil {
					mu.Lock()
					failed = append(failed, fmt.Errorf("question %d: %w", i, err))
					mu.Unlock()
				}
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	wg.Wait()
	if len(failed) > 5 {
		failed = append(failed[:5], fmt.Errorf("and %d more", len(failed)-5))
	}
	return errors.Join(failed...)
}

func question(i int) string { return fmt.Sprintf("question %d", i) }

func checkAnswer(i int, got string) error {
	if want := fmt.Sprintf("Mock answer to %q.", question(i)); got != want {
		return fmt.Errorf("the answer is %q, want %q", got, want)
	}
	return nil
}

// complete asks as OpenAI's SDKs do: without an id, and with a time-out that is shorter than a dead worker is noticed.
func (c *callers) complete(ctx context.Context, i int) error {
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	body := fmt.Sprintf(`{"model":"support","messages":[{"role":"user","content":%q}]}`, question(i))
	if err := c.persist(ctx, errand{i, "POST", "/v1/chat/completions", body, "X-Stainless-Timeout: 6"}, readJSON(&answer)); err != nil {
		return err
	}
	if len(answer.Choices) != 1 {
		return fmt.Errorf("%d choices", len(answer.Choices))
	}
	return checkAnswer(i, answer.Choices[0].Message.Content)
}

// record is what is looked at of a task's.
type record struct {
	ID, Status, Answer string
}

// submit asks through the native API, with a webhook.
func (c *callers) submit(ctx context.Context, i int, more, header string) (r record, err error) {
	body := fmt.Sprintf(`{"question":%q,"webhook":{"url":%q}%s}`, question(i), c.hooks.server.URL, more)
	if err = c.persist(ctx, errand{i, "POST", "/api/v1/tasks", body, header}, readJSON(&r)); err == nil {
		c.hooks.expect(r.ID)
	}
	return r, err
}

// poll waits for a task that an idempotency key names.
func (c *callers) poll(ctx context.Context, i int) error {
	r, err := c.submit(ctx, i, "", "Idempotency-Key: "+question(i))
	for err == nil && r.Status != "completed" {
		if r.Status == "failed" || r.Status == "canceled" || r.Status == "expired" {
			return fmt.Errorf("it is %s", r.Status)
		}
		err = c.persist(ctx, errand{i, "GET", "/api/v1/tasks/" + r.ID + "?wait=5s", "", ""}, readJSON(&r))
	}
	if err != nil {
		return err
	}
	return checkAnswer(i, r.Answer)
}

// watch follows a task that has an id of its own, and hangs up now and then.
func (c *callers) watch(ctx context.Context, i int) error {
	r, err := c.submit(ctx, i, fmt.Sprintf(`,"id":"watched-%d","stream":true`, i), "")
	if err != nil {
		return err
	}
	var text, last string
	seen := make(map[string]bool)
	path := "/api/v1/tasks/" + r.ID + "/events"
	for round := i; r.Status != "completed"; round++ {
		err := c.persist(ctx, errand{round, "GET", path, "", "Last-Event-ID: " + last}, func(response *http.Response) error {
			left := 1 + round%4
			for f := range frames(response.Body) {
				if f.id != "" {
					if seen[f.id] {
						return fmt.Errorf("event %s came twice", f.id)
					}
					seen[f.id], last = true, f.id
					left--
				}
				var data struct{ Text string }
				if err := json.Unmarshal([]byte(f.data), &data); err != nil {
					return err
				}
				switch f.event {
				case "delta":
					text += data.Text
				case "reset":
					text = ""
				case "gap":
					return errors.New("pieces are gone")
				case "end":
					return json.Unmarshal([]byte(f.data), &r)
				}
				if left == 0 {
					break
				}
			}
			c.resumed.Add(1)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if text != r.Answer {
		return fmt.Errorf("the pieces are %q, the answer %q", text, r.Answer)
	}
	err = c.persist(ctx, errand{i, "GET", path, "", "Last-Event-ID: " + last}, func(response *http.Response) error {
		if response.StatusCode != http.StatusNoContent {
			return fmt.Errorf("behind the end: %s", response.Status)
		}
		return nil
	})
	return errors.Join(err, checkAnswer(i, r.Answer))
}

// background follows a response in the background, and hangs up now and then.
func (c *callers) background(ctx context.Context, i int) error {
	var id, text string
	at, ended := -1, false
	body := fmt.Sprintf(`{"model":"support","input":%q,"background":true,"stream":true}`, question(i))
	next := errand{i, "POST", "/v1/responses", body, ""}
	for round := i; !ended; round++ {
		err := c.persist(ctx, next, func(response *http.Response) error {
			left := 3 + round%4
			for f := range frames(response.Body) {
				var e struct {
					Type, Delta string
					Number      int `json:"sequence_number"`
					Response    record
				}
				if err := json.Unmarshal([]byte(f.data), &e); err != nil {
					return err
				}
				if e.Number <= at {
					return fmt.Errorf("event %d comes behind %d", e.Number, at)
				}
				switch at = e.Number; e.Type {
				case "response.created":
					id = e.Response.ID
				case "response.output_text.delta":
					text += e.Delta
				case "response.failed", "response.incomplete", "error":
					return errors.New(f.data)
				case "response.completed":
					ended = true
					return nil
				}
				if left--; left == 0 {
					break
				}
			}
			if id == "" {
				return errCut // nobody knows what to go on with: the SDK sends it again
			}
			c.resumed.Add(1)
			return nil
		})
		if err != nil {
			return err
		}
		next = errand{round, "GET", fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=%d", id, at), "", ""}
	}
	return checkAnswer(i, text)
}

// errand is a request. server says which of the two gets it first.
type errand struct {
	server                     int
	method, path, body, header string
}

var errCut = errors.New("the reply was cut")

// persist sends a request until read has had its reply. It comes again for the same reasons as OpenAI's SDKs, though longer
// and sooner.
func (c *callers) persist(ctx context.Context, q errand, read func(*http.Response) error) error {
	for try := 0; ; try++ {
		again, after, err := c.try(ctx, q, try, read)
		if err == nil || !again {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s %s, try %d: %w", q.method, q.path, try+1, err)
		}
		c.retries.Add(1)
		if after == 0 {
			after = min(50*time.Millisecond<<try, time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(after, 2*time.Second)):
		}
	}
}

func (c *callers) try(ctx context.Context, q errand, try int, read func(*http.Response) error) (again bool, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, c.urls[(q.server+try)%2].Load().(string)+q.path, strings.NewReader(q.body))
	if err != nil {
		return false, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Stainless-Retry-Count", strconv.Itoa(try))
	if name, value, ok := strings.Cut(q.header, ": "); ok && value != "" {
		r.Header.Set(name, value)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return true, 0, err
	}
	defer response.Body.Close()
	if status := response.StatusCode; status >= 400 {
		text, _ := io.ReadAll(response.Body)
		again = status == 408 || status == 409 || status == 429 || status >= 500
		if should := response.Header.Get("X-Should-Retry"); should != "" {
			again = should == "true"
		}
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return again, time.Duration(seconds) * time.Second, fmt.Errorf("%s %s: %d %s", q.method, q.path, status, text)
	}
	err = read(response)
	return errors.Is(err, errCut), 0, err
}

func readJSON(v any) func(*http.Response) error {
	return func(response *http.Response) error {
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return errCut
		}
		return json.Unmarshal(text, v)
	}
}

type frame struct{ id, event, data string }

// frames are the events of a stream, as far as they came whole.
func frames(body io.Reader) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		var f frame
		for lines := bufio.NewReader(body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch name {
			case "id":
				f.id = value
			case "event":
				f.event = value
			case "data":
				f.data = value
			case "":
				if f.data != "" && !yield(f) {
					return
				}
				f = frame{}
			}
		}
	}
}
