package coze_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

func runOf(word string) *coze.WorkflowRequest {
	name, _ := json.Marshal(word)
	return &coze.WorkflowRequest{WorkflowID: "73664689170551", Parameters: map[string]json.RawMessage{"name": name}}
}

// readRun reads a run's stream to its end, and returns what its messages said.
func readRun(s *coze.WorkflowStream, err error) (texts string, run *coze.WorkflowRun, end error) {
	if err != nil {
		return "", nil, err
	}
	for event, err := range s.Events() {
		if event.Message != nil {
			texts += event.Message.Text
		}
		if event.Run != nil {
			run = event.Run
		}
		end = err
	}
	return texts, run, end
}

// TestWorkflowForms: the replies of Coze's documentation are read.
func TestWorkflowForms(t *testing.T) {
	const debug = "https://www.coze.cn/work_flow?execute_id=741364789030728&space_id=736&workflow_id=738"
	for _, tt := range []struct{ name, body, answer, executeID string }{
		{"synchronous", `{"code":0,"data":"{\"output\":\"北京\"}","debug_url":"` + debug + `","msg":"","usage":{"input_count":50,"token_count":150,"output_count":100}}`,
			`{"output":"北京"}`, "741364789030728"},
		{"text", `{"code":0,"data":"{\"content_type\":1,\"data\":\"hi\",\"original_result\":null,\"type_for_model\":2}","msg":""}`, "hi", ""},
		{"asynchronous", `{"debug_url":"` + debug + `","execute_id":"74248231312884","msg":""}`, "", "74248231312884"},
	} {
		run, err := clientOf(reply(200, "application/json", tt.body)).RunWorkflow(t.Context(), runOf("a"))
		if err != nil || run.Answer() != tt.answer || run.ExecuteID != tt.executeID || run.Err() != nil {
			t.Errorf("%s: %+v, %v", tt.name, run, err)
		}
	}
	history := `{"code":0,"msg":"","data":[{"execute_id":"7","execute_status":"Success","error_code":"","usage":{"token_count":150},` +
		`"output":"{\"Output\":\"{\\\"content_type\\\":1,\\\"data\\\":\\\"来\\\",\\\"original_result\\\":null,\\\"type_for_model\\\":2}\",\"输出\":\"one\"}"}]}`
	run, err := clientOf(reply(200, "application/json", history)).RetrieveWorkflowRun(t.Context(), "73", "7")
	if err != nil || !run.Over() || run.Answer() != "来" || len(run.Nodes) != 1 || run.Nodes[0] != (coze.NodeOutput{Node: "输出", Text: "one"}) || run.Usage.TokenCount != 150 {
		t.Errorf("history: %+v, %v", run, err)
	}

	documented := "id: 0\nevent: Message\ndata: {\"content\":\"wh\",\"node_is_finish\":false,\"node_seq_id\":\"0\",\"node_title\":\"Message\"}\n\n" +
		"id: 1\nevent: PING\ndata: {\"content\":\"{}\"}\n\n" +
		"id: 2\nevent: Message\ndata: {\"content\":\"y\",\"node_is_finish\":true,\"node_seq_id\":\"1\",\"node_title\":\"Message\"}\n\n" +
		"id: 3\nevent: Message\ndata: {\"content\":\"{\\\"output\\\":\\\"why\\\"}\",\"cost\":\"0.00\",\"node_is_finish\":true,\"node_seq_id\":\"0\",\"node_title\":\"\",\"token\":146}\n\n"
	for _, done := range []string{"id: 4\nevent: Done\ndata: {}\n\n", "id:4\nevent:Done\ndata:\n\n", "event: Done\n\n", ""} {
		texts, run, err := readRun(clientOf(stream(documented+done)).StreamWorkflow(t.Context(), runOf("a")))
		if err != nil || texts != `why{"output":"why"}` || run.Answer() != `{"output":"why"}` || run.Nodes[0].Text != "why" || run.Usage.TokenCount != 146 {
			t.Errorf("%q: %q, %+v, %v", done, texts, run, err)
		}
	}
	_, _, err = readRun(clientOf(stream(documented[:200])).StreamWorkflow(t.Context(), runOf("a")))
	if e := typed(t, err); e.Class != coze.ClassTruncated || e.Zone != coze.ZoneUnknown {
		t.Errorf("a stream that breaks off: %v, zone %v", err, e.Zone)
	}
}

func TestWorkflowRun(t *testing.T) {
	srv := cozetest.New(t)
	c := srv.Client()
	run, err := c.RunWorkflow(t.Context(), runOf("Ann"))
	want := `{"name":"Ann","output":"Mock output for {\"name\":\"Ann\"}"}`
	if err != nil || run.Answer() != want || run.Usage == nil || run.DebugURL == "" {
		t.Fatalf("%+v, %v", run, err)
	}
	later := runOf("Ann")
	later.IsAsync = true
	if run, err = c.RunWorkflow(t.Context(), later); err != nil || run.Over() || run.ExecuteID == "" {
		t.Fatalf("%+v, %v", run, err)
	}
	ended, err := c.RetrieveWorkflowRun(t.Context(), later.WorkflowID, run.ExecuteID)
	if err != nil || !ended.Over() || ended.Answer() != want || ended.Err() != nil {
		t.Errorf("%+v, %v", ended, err)
	}
	texts, ended, err := readRun(c.StreamWorkflow(t.Context(), runOf("Ann [[mock:answers=2]]")))
	if err != nil || !strings.HasPrefix(texts, "Message 1 of 2") || len(ended.Nodes) != 2 || ended.Answer() != want || ended.ExecuteID == "" {
		t.Errorf("%q, %+v, %v", texts, ended, err)
	}
	if n := srv.ByQuestion(`{"name":"Ann"}`); n != 2 {
		t.Errorf("%d runs, want 2", n)
	}
	if _, err := c.RetrieveWorkflowRun(t.Context(), later.WorkflowID, "1"); typed(t, err).Code != 4314 {
		t.Errorf("a run that there is not: %v", err)
	}
}

// TestWorkflowFaults: what fails says how far the run had come, by the table of codes.
func TestWorkflowFaults(t *testing.T) {
	srv := cozetest.New(t, func(c *cozetest.Config) { c.NoAsync = true })
	c := srv.Client()
	for _, tt := range []struct {
		fault string
		class coze.Class
		code  int
		zone  coze.Zone
	}{
		{"code=4200", coze.ClassPermanent, 4200, coze.ZoneRefused},
		{"error=720702011", coze.ClassPermanent, 720702011, coze.ZoneRefused},
		{"limit=1s", coze.ClassRate, 4013, coze.ZoneRefused},
		{"gateway=502", coze.ClassTransient, 0, coze.ZoneUnknown},
		{"hangup", coze.ClassTransient, 0, coze.ZoneUnknown},
		{"cut=1 answers=2", coze.ClassTruncated, 0, coze.ZoneUnknown},
		{"cut=1 mid_json answers=2", coze.ClassTruncated, 0, coze.ZoneUnknown},
		{"fail=720702085 answers=2", coze.ClassTransient, 720702085, coze.ZoneCreated},
		{"ask_back", coze.ClassAction, 0, coze.ZoneCreated},
		{"action", coze.ClassAction, 0, coze.ZoneCreated},
	} {
		_, _, err := readRun(c.StreamWorkflow(t.Context(), runOf("x [[mock:"+tt.fault+"]]")))
		if e := typed(t, err); e.Class != tt.class || e.Code != tt.code || e.Zone != tt.zone || errors.Is(err, coze.ErrInterrupted) != (tt.class == coze.ClassAction) {
			t.Errorf("%s: %v, zone %v", tt.fault, err, e.Zone)
		}
	}
	later := runOf("x")
	later.IsAsync = true
	if _, err := c.RunWorkflow(t.Context(), later); typed(t, err).Code != 6003 || typed(t, err).Zone != coze.ZoneRefused {
		t.Errorf("a free plan: %v", err)
	}
	later.BotID, later.AppID = "1", "2"
	for _, request := range []*coze.WorkflowRequest{nil, {}, later} {
		if _, err := c.RunWorkflow(t.Context(), request); typed(t, err).Class != coze.ClassInvalid {
			t.Errorf("%+v: %v", request, err)
		}
	}
	srv.SetTokens("another")
	if _, err := c.RunWorkflow(t.Context(), runOf("x")); typed(t, err).Code != 4100 || typed(t, err).Class != coze.ClassAuth {
		t.Errorf("a wrong token: %v", err)
	}
}

// TestWorkflowResume: a run that asks goes on with the answer, streamed or not, once.
func TestWorkflowResume(t *testing.T) {
	c := cozetest.New(t).Client()
	question := "Which city, and which day?"
	_, run, err := readRun(c.StreamWorkflow(t.Context(), runOf("x [[mock:ask_back]]")))
	if err == nil || !strings.Contains(err.Error(), question) {
		t.Fatalf("%v", err)
	}
	resume := &coze.ResumeRequest{WorkflowID: "73664689170551", EventID: run.Interrupt.EventID, InterruptType: run.Interrupt.Type, Data: "Berlin"}
	_, ended, err := readRun(c.StreamResume(t.Context(), resume))
	if err != nil || !strings.Contains(ended.Answer(), `"answer":"Berlin"`) {
		t.Errorf("%+v, %v", ended, err)
	}
	if _, _, err := readRun(c.StreamResume(t.Context(), resume)); typed(t, err).Code != 4315 {
		t.Errorf("resumed twice: %v", err)
	}

	later := runOf("x [[mock:ask_back]]")
	later.IsAsync = true
	if run, err = c.RunWorkflow(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if run, err = c.RetrieveWorkflowRun(t.Context(), later.WorkflowID, run.ExecuteID); err != nil || !run.Over() || !strings.Contains(run.Err().Message, question) {
		t.Fatalf("%+v, %v", run, err)
	}
	resume.EventID = run.Interrupt.EventID
	if run, err = c.ResumeWorkflow(t.Context(), resume); err != nil || run.Over() {
		t.Fatalf("%+v, %v", run, err)
	}
	if run, err = c.RetrieveWorkflowRun(t.Context(), later.WorkflowID, run.ExecuteID); err != nil || !strings.Contains(run.Answer(), "Berlin") {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestChatflow(t *testing.T) {
	srv := cozetest.New(t)
	c := srv.Client()
	ask := func(conversation, text string) (*coze.Chat, error) {
		s, err := c.StreamChatflow(t.Context(), &coze.ChatflowRequest{
			WorkflowID: "73", AppID: "7", ConversationID: conversation, AdditionalMessages: []coze.Message{coze.UserText(text)},
		})
		if err != nil {
			return nil, err
		}
		chat := new(coze.Chat)
		var last error
		for event, err := range s.Events() {
			chat.Accumulate(event)
			last = err
		}
		return chat, last
	}
	chat, err := ask("", "why?")
	if err != nil || chat.Answer() != `Mock answer to "why?".` || chat.ConversationID == "" {
		t.Fatalf("%+v, %v", chat, err)
	}
	asks, err := ask("", "where? [[mock:ask_back]]")
	if e := typed(t, err); !errors.Is(err, coze.ErrAsksBack) || e.ChatID == "" || asks.Answer() == "" || asks.Status != coze.StatusRequiresAction {
		t.Fatalf("%+v, %v", asks, err)
	}
	if chat, err = ask(asks.ConversationID, "here"); err != nil || !strings.Contains(chat.Answer(), "turn 2") {
		t.Errorf("%+v, %v", chat, err)
	}
	if _, err := ask("", "x [[mock:cut=3]]"); typed(t, err).Class != coze.ClassTruncated || typed(t, err).Zone != coze.ZoneCreated {
		t.Errorf("a cut: %v", err)
	}
	if _, err := ask("", "x [[mock:fail_flat=720702204]]"); typed(t, err).Code != 720702204 {
		t.Errorf("a failure: %v", err)
	}
	if _, err := c.StreamChatflow(t.Context(), &coze.ChatflowRequest{WorkflowID: "73", BotID: "1", AppID: "2"}); typed(t, err).Class != coze.ClassInvalid {
		t.Errorf("a bot and an app: %v", err)
	}
}

// TestWorkflowPing: a workflow that only pings is not idle.
func TestWorkflowPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(w io.Writer) {
			write(w, head)
			for range 10 {
				time.Sleep(time.Minute)
				write(w, "id: 0\nevent: PING\ndata: {\"content\":\"{}\"}\n\n")
			}
			write(w, "event: Message\ndata: {\"content\":\"end\",\"node_is_finish\":true,\"node_title\":\"End\"}\n\nevent: Done\ndata: {}\n\n")
		})
		if _, run, err := readRun(c.StreamWorkflow(t.Context(), runOf("x"))); err != nil || run.Answer() != "end" {
			t.Errorf("%+v, %v", run, err)
		}
	})
}

func FuzzDecodeRun(f *testing.F) {
	f.Add([]byte(`{"execute_id":"7","output":"{\"Output\":\"x\"}","interrupt_data":{"event_id":"1","required_parameters":{}}}`))
	f.Add([]byte(fmt.Sprintf(`{"data":%q,"token":1,"debug_url":"?execute_id=%%zz"}`, `{"type_for_model":2}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var run coze.WorkflowRun
		if err := json.Unmarshal(b, &run); err != nil {
			return
		}
		if e := run.Err(); e != nil && e.Class == "" {
			t.Errorf("an error without a class: %+v", e)
		}
		_ = run.Answer()
		_ = new(coze.WorkflowMessage).UnmarshalJSON(b)
	})
}
