package coze_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cozeq/cozeq/coze"
)

const (
	answer = "2024 年好🙂"
	chatID = "7382159487131697202"
	thread = "7381473525342978089"
)

// message is a completed message's event.
func message(id, kind, contentType, content string) string {
	return event("conversation.message.completed", `{"id":"`+id+`","role":"assistant","type":"`+kind+
		`","content":`+content+`,"content_type":"`+contentType+`","chat_id":"`+chatID+`"}`)
}

func delta(id, content, reasoning string) string {
	return event("conversation.message.delta", `{"id":"`+id+`","role":"assistant","type":"answer","content":`+content+
		`,"content_type":"text","reasoning_content":`+reasoning+`}`)
}

// others are the events of a chat that nobody here asked for.
var others = strings.NewReplacer(chatID, "77", thread, "78", answer, "theirs").Replace(delta1 + answered + completed)

// TestTranscripts plays nasty streams and judges what comes of them. The numbers are those of the list of transcripts
// that this package was designed against.
func TestTranscripts(t *testing.T) {
	replace := strings.NewReplacer
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	type want struct {
		class     coze.Class // "" = success
		zone      coze.Zone
		ended     bool
		code      int
		answer    string
		reasoning string
		tokens    int64
		is        error
	}
	good := want{answer: answer, tokens: 633}
	cutOff := want{class: coze.ClassTruncated, zone: coze.ZoneCreated, is: coze.ErrTruncated}
	tests := []struct {
		name string
		body string
		want want
	}{
		{"1 no newline at the end", strings.TrimRight(whole, "\n"), good},
		{"3 CRLF", replace("\n", "\r\n").Replace(whole), good},
		{"3 CRLF after events, LF after data", replace("\ndata:", "\r\ndata:").Replace(whole), good},
		{"3 lone CR", replace("\n", "\r").Replace(whole), good},
		{"4 one space", replace("event:", "event: ", "data:", "data: ").Replace(whole), good},
		{"4 two spaces before data", replace("data:", "data:  ").Replace(whole), good},
		{"5 noise", ":keep-alive\n\nevent: PING\ndata: {\"content\":\"{}\"}\n\n" +
			replace("\ndata:", "\n:in between\nid: 7\nretry: 3000\nfoo: bar\n// note\n# note\ndata:", "\n\n", "\n: tail\n\n\nid: 8\n: more\n").Replace(whole), good},
		{"6 byte order mark", "\ufeff" + whole, good},
		{"7 done without quotes", replace(`"[DONE]"`, `[DONE]`).Replace(whole), good},
		{"7 done without quotes or end", strings.TrimRight(replace(`"[DONE]"`, `[DONE]`).Replace(whole), "\n"), good},
		{"7 done without data", replace(`"[DONE]"`, ``).Replace(whole), good},
		{"7 done with debug_url", replace(`"[DONE]"`, `{"debug_url":"https://example.com"}`).Replace(whole), good},
		{"7 stream.done", replace("event:done", "event:conversation.stream.done").Replace(whole), good},
		{"7 no done", replace(done, "").Replace(whole), good},
		{"7 done without an event name", replace("event:done\n", "").Replace(whole), good},
		{"8 failed, pretty", created + "event:conversation.chat.failed\ndata:{\ndata:  \"last_error\": {\ndata:    \"code\": 701231,\ndata:    \"msg\": \"error\"\ndata:  }\ndata:}\n\n" + done,
			want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true, code: 701231}},
		{"9 data before event", created + "data:{\"id\":\"1\",\"role\":\"assistant\",\"type\":\"answer\",\"content\":\"late name\",\"content_type\":\"text\"}\nevent:conversation.message.completed\n\n" + completed + done,
			want{answer: "late name", tokens: 633}},
		{"9 event without data", "event:conversation.chat.failed\n\n" + whole, good},
		{"9 data without event", "data:{\"content\":\"x\"}\n\ndata:hello\n\n" + whole, good},
		{"9 data without event but a code", "data:{\"code\":4013,\"msg\":\"busy\"}\n\n", want{class: coze.ClassRate, code: 4013}},
		{"10 a card of 1 MiB", created + message("1", "answer", "card", big) + answered + completed + done, good},
		{"10 an event over the limit", created + message("1", "answer", "card", `"`+strings.Repeat("x", 3<<20)+`"`) + completed,
			want{class: coze.ClassTruncated, zone: coze.ZoneCreated, is: coze.ErrEventTooLarge}},
		{"11 two answers around a finish", created + message("1", "answer", "text", `"one"`) + finish + message("2", "answer", "text", `"two"`) + completed + done,
			want{answer: "one\ntwo", tokens: 633}},
		{"12 other messages and events", created + message("1", "function_call", "text", `"{\"plugin_id\":7382159487131697202}"`) +
			message("2", "tool_response", "text", `"tool"`) + message("3", "knowledge", "text", `"k"`) +
			message("4", "verbose", "text", `"{\"msg_type\":\"knowledge_recall\",\"data\":\"{}\"}"`) + message("5", "surprise", "text", `"?"`) +
			event("conversation.surprise", `{}`) + answered + completed + done, good},
		{"14 event: and blank lines in the answer", created + message("1", "answer", "text", `"event: x\n\ndata: y"`) + finish + followUp + completed + done,
			want{answer: "event: x\n\ndata: y", tokens: 633}},
		{"15 reasoning", created + delta("1", `""`, `"let me "`) + delta("1", `""`, `"think"`) + delta("1", `null`, `""`) + delta("1", `"yes"`, `null`) +
			message("1", "answer", "text", `"yes"`) + completed + done, want{answer: "yes", reasoning: "let me think", tokens: 633}},
		{"16 deltas only: the list settles it", created + delta1 + delta2 + completed + done, want{tokens: 633}},
		{"17 no deltas", created + answered + completed + done, good},
		{"18 completed twice", created + answered + strings.Replace(answered, `"chat_id"`, `"usage":{"token_count":1},"chat_id"`, 1) + completed + done, good},
		{"19 completed differs from deltas", created + delta("1", `"wrong"`, `""`) + message("1", "answer", "text", `"right"`) + completed + done,
			want{answer: "right", tokens: 633}},
		{"20 audio after completed", created + answered + completed + event("conversation.audio.delta", `{"id":"9","type":"answer","content":"UklGRg==","content_type":"audio"}`) + done, good},
		{"21 empty required_action", created + answered + strings.Replace(completed, `"status"`, `"required_action":{"type":"","submit_tool_outputs":{"tool_calls":null}},"status"`, 1) + done, good},
		{"22 requires_action", created + event("conversation.chat.requires_action", `{"id":"`+chatID+`","status":"requires_action","required_action":{"type":"submit_tool_outputs","submit_tool_outputs":{"tool_calls":[{"id":"1","type":"function","function":{"name":"weather","arguments":"{}"}}]}}}`) + done,
			want{class: coze.ClassAction, zone: coze.ZoneCreated, ended: true}},
		{"23 failed 5000", created + failed(`{"code":5000,"msg":"event interval error"}`), want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true, code: 5000}},
		{"23 failed 4028", created + failed(`{"code":4028,"msg":"free quota"}`), want{class: coze.ClassQuota, zone: coze.ZoneCreated, ended: true, code: 4028}},
		{"23 failed 702112103", created + failed(`{"code":702112103,"msg":"rate"}`), want{class: coze.ClassRate, zone: coze.ZoneCreated, ended: true, code: 702112103}},
		{"23 failed 4014", created + failed(`{"code":4014,"msg":"no"}`), want{class: coze.ClassPermanent, zone: coze.ZoneCreated, ended: true, code: 4014}},
		{"23 failed code null", created + failed(`{"code":null,"msg":null}`), want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true}},
		{"23 failed null", created + failed(`null`), want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true}},
		{"24 failed flat, code a string", created + event("conversation.chat.failed", `{"code":"720702204","msg":"name missing"}`),
			want{class: coze.ClassPermanent, zone: coze.ZoneCreated, ended: true, code: 720702204}},
		{"24 failed, not JSON", created + event("conversation.chat.failed", `oh no`), want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true}},
		{"25 error 4016 at once", event("error", `{"code":4016,"msg":"Conversation occupied"}`), want{class: coze.ClassBusy, zone: coze.ZoneRefused, code: 4016}},
		{"26 error {}", event("error", `{}`), want{class: coze.ClassTransient, zone: coze.ZoneUnknown}},
		{"26 error not JSON", event("error", strings.Repeat("boom ", 1000)), want{class: coze.ClassTransient, zone: coze.ZoneUnknown}},
		{"26 error after created", created + event("error", `{"code":5000,"msg":"x"}`), want{class: coze.ClassTransient, zone: coze.ZoneCreated, code: 5000}},
		{"27 error, then completed", created + event("error", `{"code":103200002,"msg":"agent"}`) + completed + event("conversation.stream.done", ""),
			want{class: coze.ClassTransient, zone: coze.ZoneCreated, code: 103200002}},
		{"29 a bare refusal", refusal(4101), want{class: coze.ClassAuth, zone: coze.ZoneRefused, code: 4101}},
		{"29 a bare refusal after two events", created + inProgress + refusal(4101), want{class: coze.ClassAuth, zone: coze.ZoneCreated, code: 4101}},
		{"32 empty stream", "", want{class: coze.ClassTransient, zone: coze.ZoneUnknown, is: coze.ErrTruncated}},
		{"33 end after created", created, cutOff},
		{"33 end within a string", created + delta1 + delta2[:len(delta2)-60], cutOff},
		{"33 end after the answer", created + answered, want{class: coze.ClassTruncated, zone: coze.ZoneCreated, answer: answer, is: coze.ErrTruncated}},
		{"33 done without a terminal event", created + delta1 + done, cutOff},
		{"37 canceled", created + delta1 + event("conversation.chat.cancelled", `{"id":"`+chatID+`","status":"cancelled"}`) + done,
			want{class: coze.ClassCanceled, zone: coze.ZoneCreated, ended: true}},
		{"38 compleated", replace(`"status":"completed"`, `"status":"compleated"`, "completed_at", "compleated_at", "output_count", "output_tokens", "input_count", "input_tokens").Replace(whole), good},
		{"39 strings for numbers", replace(`:633`, `:"633"`, `:19`, `:"19"`, `:614`, `:"614"`, `:1718792949`, `:"1718792949"`).Replace(whole), good},
		{"39 numbers for ids", replace(`"7382159487131697202"`, `7382159487131697202`, `"7381473525342978089"`, `7381473525342978089`).Replace(whole), good},
		{"41 chat id 0, then cut", strings.ReplaceAll(created, chatID, "0"), want{class: coze.ClassTruncated, zone: coze.ZoneUnknown, is: coze.ErrTruncated}},
		{"41 chat id empty, then refused", strings.ReplaceAll(created, chatID, "") + event("error", `{"code":5000,"msg":"x"}`), want{class: coze.ClassTransient, zone: coze.ZoneUnknown, code: 5000}},
		{"46 completed twice", created + answered + completed + strings.Replace(completed, "633", "1", 1) + done, good},
		{"46 failed after completed", created + answered + completed + failed(`{"code":5000,"msg":"x"}`) + done,
			want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true, code: 5000, answer: answer}},
		{"46 error after completed", created + answered + completed + event("error", `{"code":5000,"msg":"x"}`) + done,
			want{class: coze.ClassTransient, zone: coze.ZoneCreated, ended: true, code: 5000, answer: answer}},
		{"46 error after done", created + answered + completed + done + event("error", `{"code":5000,"msg":"x"}`), good},
		{"46 deltas after completed", created + answered + completed + delta1 + done, good},
		{"51 NUL, U+2028, half a surrogate pair", created + delta("1", `"\ud83d"`, `""`) + delta("1", `"\ude42"`, `""`) +
			message("1", "answer", "text", `"a\u0000b\u2028c\ud83d\ude42\ud83d"`) + completed + done, want{answer: "a\x00b\u2028c🙂\ufffd", tokens: 633}},
		{"another chat's events", created + others + answered + others + completed + done, good},
		{"another chat's events, then cut", created + others, cutOff},
		{"another chat's failure after the end", created + answered + completed + strings.ReplaceAll(failed(`{"code":5000,"msg":"x"}`), chatID, "77") + done, good},
		{"another chat's answer before chat.created", others[:strings.Index(others, "event:conversation.chat.completed")] + whole, good},
		{"no chat.created", strings.TrimPrefix(whole, created), good},
		{"a delta names the chat, then cut", event("conversation.message.delta", `{"id":"1","type":"answer","content":"x","chat_id":"`+chatID+`","conversation_id":"`+thread+`"}`), cutOff},
		{"an event that names no chat, then an error", event("conversation.message.delta", `{"id":"1","type":"answer","content":"x"}`) + event("error", `{"code":5000,"msg":"x"}`),
			want{class: coze.ClassTransient, zone: coze.ZoneUnknown, code: 5000}},
		{"completed is not JSON", created + answered + event("conversation.chat.completed", `{"id":`) + done,
			want{class: coze.ClassTruncated, zone: coze.ZoneCreated, is: coze.ErrTruncated, answer: answer}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, deltas := range []bool{false, true} {
				c := clientOf(stream(tt.body))
				c.MaxEvent = 2 << 20
				got := listen(t, c, deltas)
				if tt.want.class == "" {
					if got.err != nil {
						t.Fatalf("deltas %v: error %v (zone %v), want success", deltas, got.err, got.err.Zone)
					}
					if got.chat.ID != chatID || got.chat.ConversationID != thread || got.chat.Status != coze.StatusCompleted {
						t.Errorf("chat is %q in %q, %s", got.chat.ID, got.chat.ConversationID, got.chat.Status)
					}
				} else {
					check(t, got.err, tt.want.class, tt.want.zone, tt.want.ended, tt.want.code)
					if tt.want.is != nil && !errors.Is(got.err, tt.want.is) {
						t.Errorf("error %v is not %v", got.err, tt.want.is)
					}
					if tt.want.zone == coze.ZoneCreated && (got.err.ChatID != chatID || got.err.ConversationID != thread) {
						t.Errorf("error names chat %q in %q", got.err.ChatID, got.err.ConversationID)
					}
				}
				if a := got.chat.Answer(); a != tt.want.answer {
					t.Errorf("answer %q, want %q", a, tt.want.answer)
				}
				if r := got.chat.Reasoning(); r != tt.want.reasoning {
					t.Errorf("reasoning %q, want %q", r, tt.want.reasoning)
				}
				var tokens int64
				if got.chat.Usage != nil {
					tokens = got.chat.Usage.TokenCount
				}
				if tokens != tt.want.tokens {
					t.Errorf("tokens %d, want %d", tokens, tt.want.tokens)
				}
			}
		})
	}
}

func check(t *testing.T, e *coze.Error, class coze.Class, zone coze.Zone, ended bool, code int) {
	t.Helper()
	if e == nil {
		t.Fatalf("success, want an error of class %s", class)
	}
	if e.Class != class || e.Zone != zone || e.Ended != ended || e.Code != code {
		t.Errorf("error %q: class %s zone %s ended %v code %d, want %s %s %v %d",
			e, e.Class, e.Zone, e.Ended, e.Code, class, zone, ended, code)
	}
	if len(e.Message) > 500 {
		t.Errorf("message of %d bytes", len(e.Message))
	}
}

// Transcript 2: the same bytes one at a time, in halves, and with data arriving together with the end.
func TestChunking(t *testing.T) {
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			got := listen(t, clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
				return response(r, 200, streamKind, reader(strings.NewReader(whole))), nil
			})), true)
			if got.err != nil {
				t.Fatal(got.err)
			}
			if got.chat.Answer() != answer || got.deltas != answer || *got.chat.Usage != (coze.Usage{TokenCount: 633, OutputCount: 19, InputCount: 614}) {
				t.Errorf("answer %q, deltas %q, usage %+v", got.chat.Answer(), got.deltas, got.chat.Usage)
			}
		})
	}
}

func TestEventsInOrder(t *testing.T) {
	want := []coze.EventType{
		coze.EventChatCreated, coze.EventMessageCompleted, coze.EventMessageCompleted, coze.EventMessageCompleted, coze.EventChatCompleted,
	}
	if got := listen(t, clientOf(stream(whole)), false); !slices.Equal(got.events, want) {
		t.Errorf("without deltas: %v", got.events)
	}
	want = slices.Insert(want, 1, coze.EventMessageDelta, coze.EventMessageDelta)
	if got := listen(t, clientOf(stream(whole)), true); !slices.Equal(got.events, want) {
		t.Errorf("with deltas: %v", got.events)
	}
}

// Transcript 13: an answer that a node cut short is an answer, and says so.
func TestInterrupted(t *testing.T) {
	got := listen(t, clientOf(stream(strings.Replace(whole, `finish_reason\\\":0`, `finish_reason\\\":1`, 1))), false)
	if got.err != nil || got.chat.Answer() != answer || !got.chat.Interrupted() {
		t.Errorf("error %v, answer %q, interrupted %v", got.err, got.chat.Answer(), got.chat.Interrupted())
	}
	if got := listen(t, clientOf(stream(whole)), false); got.chat.Interrupted() {
		t.Error("finish_reason 0 is read as interrupted")
	}
}

// Transcript 40: Coze's conversation is the one that counts, not the one that was asked for.
func TestEchoedConversation(t *testing.T) {
	q := question()
	q.ConversationID = "1"
	s, err := clientOf(stream(created)).Stream(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Events() {
		if err != nil && typed(t, err).ConversationID != thread {
			t.Errorf("conversation %q", typed(t, err).ConversationID)
		}
	}
}

// Transcript 16 and the promise of HasAnswer: a card counts, an empty text does not.
func TestHasAnswer(t *testing.T) {
	for body, want := range map[string]bool{
		created + completed: false,
		created + message("1", "answer", "card", `"{}"`) + completed: true,
		created + message("1", "answer", "text", `""`) + completed:   false,
		created + followUp + completed:                               false,
		created + answered + completed:                               true,
	} {
		if got := listen(t, clientOf(stream(body)), false); got.chat.HasAnswer() != want {
			t.Errorf("HasAnswer %v after %v", !want, got.events)
		}
	}
}

func TestFollowUpsAndLogID(t *testing.T) {
	got := listen(t, clientOf(stream(whole)), false)
	if !slices.Equal(got.chat.FollowUps(), []string{"And then?"}) {
		t.Errorf("follow-ups %q", got.chat.FollowUps())
	}
	got = listen(t, clientOf(stream(created)), false)
	if got.err.LogID != "20261123LOG" || !strings.HasSuffix(got.err.Error(), "coze chat (truncated): the stream ended before its last event logid=20261123LOG") {
		t.Errorf("error %q", got.err)
	}
}

// Events that are each within the limit must not fill the memory of whoever keeps the answers.
func TestAnswersWithoutEnd(t *testing.T) {
	text := strings.Repeat("x", 60_000)
	var stream strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&stream, "event:conversation.message.completed\ndata:{\"id\":\"%d\",\"type\":\"answer\",\"role\":\"assistant\",\"content\":%q}\n\n", n, text)
	}
	client := clientOf(roundTrip(func(r *http.Request) (*http.Response, error) {
		return response(r, 200, "text/event-stream", strings.NewReader(stream.String())), nil
	}))
	client.MaxEvent = 200_000
	s, err := client.Stream(t.Context(), question())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err = range s.Events() {
		n++
	}
	if e := typed(t, err); n != 4 || !errors.Is(e, coze.ErrAnswerTooLarge) || e.Class != coze.ClassTruncated {
		t.Errorf("%d events, then %v", n, err)
	}
}

// What a bot said before its chat, or the stream, ended without completing.
func TestDrafts(t *testing.T) {
	const begun = `event:conversation.message.delta
data:{"id":"7","role":"assistant","type":"answer","content":"half \ud83d","reasoning_content":"hm","chat_id":"` + chatID + `"}

event:conversation.message.delta
data:{"id":"7","role":"assistant","type":"answer","content":"\ude42 an\u0041\n","chat_id":"` + chatID + `"}

event:conversation.message.delta
data:{"id":"8","role":"assistant","type":"tool_response","content":"not said","chat_id":"` + chatID + `"}

`
	foreign := strings.ReplaceAll(begun, chatID, "77")
	big := strings.Repeat("字", 1<<19) // of an event over the limit
	tests := []struct{ name, body, text, reasoning string }{
		{"failed", created + begun + failed(`{"code":5000,"msg":"x"}`), "half 🙂 anA\n", "hm"},
		{"cut", created + foreign + begun, "half 🙂 anA\n", "hm"},
		{"cut in an event", created + begun + begun[:60], "half 🙂 anA\n", "hm"},
		{"completed, then failed", created + begun + message("7", "answer", "text", `"whole"`) + failed(`{"code":5000,"msg":"x"}`), "whole", "hm"},
		{"a foreign one", created + foreign, "", ""},
		{"an event over the limit", created + message("7", "answer", "text", `"\u0041`+big+`"`), "A" + big[:len(big)/4], ""},
		{"one, after deltas", created + begun + message("7", "answer", "text", `"B`+big+`"`), "B" + big[:len(big)/4], "hm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, deltas := range []bool{false, true} {
				client := clientOf(stream(tt.body))
				client.MaxEvent = 1 << 20
				s, err := client.Stream(t.Context(), question())
				if err != nil {
					t.Fatal(err)
				}
				s.Deltas = deltas
				var chat coze.Chat
				for event, e := range s.Events() {
					chat.Accumulate(event)
					err = e
				}
				if err == nil {
					t.Fatal("no error")
				}
				chat.Messages = append(chat.Messages, s.Drafts()...)
				got := chat.Answer()
				if len(tt.text) > 1000 { // where it is torn is of no interest
					got = got[:min(len(got), len(tt.text))]
				}
				if got != tt.text || chat.Reasoning() != tt.reasoning {
					t.Errorf("deltas %v: %.100q (%d bytes), reasoning %q", deltas, got, len(got), chat.Reasoning())
				}
			}
		})
	}
}

// A chat that waits for the user's next words says what the bot asks, and is told from one that waits for tools.
func TestAsksBack(t *testing.T) {
	waits := event("conversation.chat.requires_action", `{"id":"`+chatID+`","status":"requires_action","required_action":{"type":"submit_tool_outputs",`+
		`"submit_tool_outputs":{"tool_calls":[{"id":"","type":"reply_message","function":null,"require_info":{"name":"q"}}]}}}`)
	got := listen(t, clientOf(stream(created+message("1", "answer", "text", `"Which city?"`)+waits+done)), false)
	if !errors.Is(got.err, coze.ErrAsksBack) || got.chat.Answer() != "Which city?" {
		t.Fatalf("%v, answer %q", got.err, got.chat.Answer())
	}
	e := got.chat.Err()
	if e.Class != coze.ClassAction || e.Message != "the bot asks back: Which city?" || !strings.Contains(e.Hint(), "conversation_id") {
		t.Errorf("%v, hint %q", e, e.Hint())
	}
}

// What is not text is delivered, with its type, where there is no text.
func TestAnswerType(t *testing.T) {
	text, card := message("1", "answer", "text", `"words"`), message("2", "answer", "card", `"{\"a\":1}"`)
	for _, tt := range []struct {
		body, answer string
		kind         coze.ContentType
		answers      int
	}{
		{text, "words", coze.ContentText, 1},
		{card, `{"a":1}`, coze.ContentCard, 1},
		{card + text, "words", coze.ContentText, 2},
		{card + message("3", "answer", "audio", `"https://example.org/a.mp3"`), "{\"a\":1}\nhttps://example.org/a.mp3", coze.ContentCard, 2},
		{message("4", "answer", "card", `{"a":1}`), `{"a":1}`, coze.ContentCard, 1},
	} {
		chat := listen(t, clientOf(stream(created+tt.body+completed+done)), false).chat
		if chat.Answer() != tt.answer || chat.AnswerType() != tt.kind || len(chat.Answers()) != tt.answers || !chat.HasAnswer() {
			t.Errorf("%q of type %q, %d answers", chat.Answer(), chat.AnswerType(), len(chat.Answers()))
		}
	}
}
