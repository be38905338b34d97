package coze_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// recorded is a stream of the shape that Coze's cloud sends, with n deltas of a few Chinese characters each.
func recorded(n int) []byte {
	var b bytes.Buffer
	b.WriteString(created + inProgress)
	for i := range n {
		fmt.Fprint(&b, event("conversation.message.delta", fmt.Sprintf(`{"id":"7382159494123470858","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","role":"assistant","type":"answer","content":"答案的第%d段,","content_type":"text","chat_id":"7382159487131697202","section_id":"7381473525342978089","created_at":1718792949,"reasoning_content":""}`, i)))
	}
	b.WriteString(answered + finish + followUp + completed + done)
	return b.Bytes()
}

// played is a server that answers every question with the same stream, at memory's speed.
func played(body []byte) *coze.Client {
	return clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
		return response(r, 200, streamKind, bytes.NewReader(body)), nil
	}))
}

func ours(b testing.TB, c *coze.Client) {
	if got := listen(b, c, false); got.err != nil || got.chat.Answer() != answer {
		b.Fatalf("answer %q, error %v", got.chat.Answer(), got.err)
	}
}

// theirs is how the same is usually done: a bufio.Scanner, enlarged so that it survives a card, and every event decoded.
func theirs(b testing.TB, body []byte) {
	type message struct {
		ID               string `json:"id"`
		ConversationID   string `json:"conversation_id"`
		BotID            string `json:"bot_id"`
		ChatID           string `json:"chat_id"`
		SectionID        string `json:"section_id"`
		Role             string `json:"role"`
		Type             string `json:"type"`
		Content          string `json:"content"`
		ContentType      string `json:"content_type"`
		ReasoningContent string `json:"reasoning_content"`
		CreatedAt        int64  `json:"created_at"`
		Status           string `json:"status"`
	}
	scanner := bufio.NewScanner(io.Reader(bytes.NewReader(body)))
	scanner.Buffer(make([]byte, 64<<10), 8<<20)
	var name, got string
	for scanner.Scan() {
		line := scanner.Text()
		if value, ok := strings.CutPrefix(line, "event:"); ok {
			name = value
		}
		if value, ok := strings.CutPrefix(line, "data:"); ok && name != "done" {
			var m message
			if err := json.Unmarshal([]byte(value), &m); err != nil {
				b.Fatal(err)
			}
			if name == "conversation.message.completed" && m.Type == "answer" {
				got = m.Content
			}
		}
	}
	if scanner.Err() != nil || got != answer {
		b.Fatal(got, scanner.Err())
	}
}

// BenchmarkDecode reads a stream of 500 deltas in both ways and reports how many times faster ours is (x), with the
// client, the request and the timer of a call counted in.
func BenchmarkDecode(b *testing.B) {
	body := recorded(500)
	client := played(body)
	var speed [2]float64
	for i, way := range []struct {
		name string
		run  func(testing.TB)
	}{
		{"scanner", func(b testing.TB) { theirs(b, body) }},
		{"ours", func(b testing.TB) { ours(b, client) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				way.run(b)
			}
			speed[i] = float64(b.N) / b.Elapsed().Seconds()
			if i == 1 && speed[0] > 0 {
				b.ReportMetric(speed[1]/speed[0], "x")
			}
		})
	}
}

// BenchmarkStream is everything of this package for one short chat, the in-memory server's part included.
func BenchmarkStream(b *testing.B) {
	client := played(recorded(5))
	b.ReportAllocs()
	for b.Loop() {
		ours(b, client)
	}
}

// A delta that nobody reads costs no allocation, but for the room that the gathered text grows into, 2 KiB at a time.
func TestSkippedDeltasDoNotAllocate(t *testing.T) {
	few, many := played(recorded(10)), played(recorded(1_010))
	ours(t, few)
	base := testing.AllocsPerRun(20, func() { ours(t, few) })
	got := testing.AllocsPerRun(20, func() { ours(t, many) })
	if got-base > 20 { // 20 KB of text, and the runtime's own, now and then: of a pool that a collection emptied
		t.Errorf("1,000 deltas more cost %v allocations more", got-base)
	}
}

// Transcript 50: ten thousand deltas and an answer of ten thousand characters, with and without a listener.
func TestManyDeltas(t *testing.T) {
	want := strings.Repeat("字", 10_000)
	body := []byte(created + strings.Repeat(delta("1", `"字"`, `"思"`), 10_000) + message("1", "answer", "text", `"`+want+`"`) + completed + done)
	for _, deltas := range []bool{false, true} {
		got := listen(t, played(body), deltas)
		if got.err != nil || got.chat.Answer() != want || got.chat.Reasoning() != strings.Repeat("思", 10_000) {
			t.Errorf("deltas %v: error %v, answer of %d bytes, reasoning of %d", deltas, got.err, len(got.chat.Answer()), len(got.chat.Reasoning()))
		}
		if deltas && got.deltas != want {
			t.Errorf("deltas of %d bytes", len(got.deltas))
		}
	}
}
