package coze_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze"
)

func TestDecodeMessage(t *testing.T) {
	const big = "9223372036854775807"
	for name, tt := range map[string]struct {
		text string
		want coze.Message
	}{
		"strings":      {`{"id":"` + big + `","created_at":"1718792949","updated_at":"1718792950"}`, coze.Message{ID: big, CreatedAt: 1718792949, UpdatedAt: 1718792950}},
		"numbers":      {`{"id":` + big + `,"created_at":1718792949,"chat_id":7382159487131697203}`, coze.Message{ID: big, CreatedAt: 1718792949, ChatID: "7382159487131697203"}},
		"nulls":        {`{"id":null,"content":null,"meta_data":null,"created_at":null,"role":null,"type":null}`, coze.Message{}},
		"null":         {`null`, coze.Message{}},
		"no ids":       {`{"id":"","chat_id":"0","bot_id":0}`, coze.Message{}},
		"floats":       {`{"created_at":1.718792949e9,"updated_at":"1718792950.5"}`, coze.Message{CreatedAt: 1718792949, UpdatedAt: 1718792950}},
		"junk times":   {`{"created_at":"yesterday","updated_at":{}}`, coze.Message{}},
		"meta data":    {`{"meta_data":{"a":"b","n":1,"x":null}}`, coze.Message{MetaData: map[string]string{"a": "b", "n": "1", "x": ""}}},
		"odd meta":     {`{"meta_data":""}`, coze.Message{}},
		"escapes":      {`{"content":"a\n\"b\" \u4f60\ud83d\ude42"}`, coze.Message{Content: "a\n\"b\" 你🙂"}},
		"an object":    {`{"content":{"a":[1]}}`, coze.Message{Content: `{"a":[1]}`}},
		"unknown keys": {`{"content":"x","tomorrow":[{}]}`, coze.Message{Content: "x"}},
	} {
		var got coze.Message
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Transcripts 38 and 39, and the forms of last_error and required_action.
func TestDecodeChat(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want coze.Chat
	}{
		"usage null":        {`{"usage":null}`, coze.Chat{}},
		"usage empty":       {`{"usage":{}}`, coze.Chat{}},
		"usage zeros":       {`{"usage":{"token_count":0,"output_count":0,"input_count":0}}`, coze.Chat{}},
		"usage strings":     {`{"usage":{"token_count":"633","output_count":"19","input_count":"614"}}`, coze.Chat{Usage: &coze.Usage{TokenCount: 633, OutputCount: 19, InputCount: 614}}},
		"usage aliases":     {`{"usage":{"output_tokens":19,"input_tokens":614}}`, coze.Chat{Usage: &coze.Usage{TokenCount: 633, OutputCount: 19, InputCount: 614}}},
		"usage an array":    {`{"usage":[1]}`, coze.Chat{}},
		"compleated":        {`{"status":"compleated","compleated_at":7}`, coze.Chat{Status: coze.StatusCompleted, CompletedAt: 7}},
		"cancelled":         {`{"status":"cancelled"}`, coze.Chat{Status: coze.StatusCanceled}},
		"required_action":   {`{"status":"required_action"}`, coze.Chat{Status: coze.StatusRequiresAction}},
		"unknown status":    {`{"status":"queued"}`, coze.Chat{Status: "queued"}},
		"no error":          {`{"last_error":{"code":0,"msg":""}}`, coze.Chat{}},
		"error null":        {`{"last_error":null}`, coze.Chat{}},
		"error code null":   {`{"last_error":{"code":null,"msg":"x"}}`, coze.Chat{LastError: &coze.LastError{Message: "x"}}},
		"error code text":   {`{"last_error":{"code":"5000","msg":"x"}}`, coze.Chat{LastError: &coze.LastError{Code: 5000, Message: "x"}}},
		"error flat":        {`{"code":"720702204","msg":"x"}`, coze.Chat{LastError: &coze.LastError{Code: 720702204, Message: "x"}}},
		"action empty":      {`{"required_action":{"type":"","submit_tool_outputs":{"tool_calls":null}}}`, coze.Chat{}},
		"action null":       {`{"required_action":null}`, coze.Chat{}},
		"action of a shape": {`{"required_action":{"submit_tool_outputs":"?"}}`, coze.Chat{}},
		"chat id 0":         {`{"id":"0","conversation_id":7381473525342978089}`, coze.Chat{ConversationID: thread}},
	} {
		var got coze.Chat
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestStatusTerminal(t *testing.T) {
	for status, want := range map[coze.Status]bool{
		coze.StatusCreated: false, coze.StatusInProgress: false, "queued": false, "": false,
		coze.StatusCompleted: true, coze.StatusFailed: true, coze.StatusCanceled: true, coze.StatusRequiresAction: true,
	} {
		if status.Terminal() != want {
			t.Errorf("%q is terminal: %v", status, !want)
		}
	}
}

// Whatever JSON comes, decoding it fails or gives something that can be written and read again unchanged.
func FuzzDecodeChat(f *testing.F) {
	for _, seed := range []string{
		`{"id":"7382159487131697202","status":"completed","usage":{"token_count":"1"},"last_error":{"code":"1","msg":null}}`,
		`{"id":7382159487131697202,"meta_data":{"a":1},"required_action":{"submit_tool_outputs":{"tool_calls":[{"function":{}}]}}}`,
		` { "Content" : "\\u00e9\\\\" , "x":[ {"a":[true,false,null,-0.5e+7]} , "\\"" ] ,"CREATED_AT":0} `, `{"role":{"a":[]},"id":[1 ,2]}`,
		`{"code":"1","msg":"x"}`, `null`, `[]`, `{"content":"\ud83d","created_at":"1e400"}`, `{"id":-0.5,"created_at":9e99}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkMembers(t, text)
		var chat, again coze.Chat
		if json.Unmarshal(text, &chat) == nil {
			content, err := json.Marshal(&chat)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(content, &again); err != nil {
				t.Fatal(err)
			}
			if utf8.Valid(text) && !reflect.DeepEqual(chat, again) {
				t.Fatalf("%+v\nwritten and read: %+v", chat, again)
			}
		}
		var message, second coze.Message
		if json.Unmarshal(text, &message) == nil {
			content, err := json.Marshal(&message)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(content, &second); err != nil {
				t.Fatal(err)
			}
			if utf8.Valid(text) && !reflect.DeepEqual(message, second) {
				t.Fatalf("%+v\nwritten and read: %+v", message, second)
			}
		}
		chat.Accumulate(coze.Event{Type: coze.EventMessageCompleted, Message: &message})
		if !utf8.ValidString(chat.Answer()) || !utf8.ValidString(chat.Reasoning()) {
			t.Fatal("text that is not UTF-8")
		}
		if e := chat.Err(); e != nil && (len(e.Message) > 500 || !utf8.ValidString(e.Error())) {
			t.Fatalf("message of %d bytes", len(e.Message))
		}
	})
}

// checkMembers holds what a message is read from against what encoding/json makes of the same text.
func checkMembers(t *testing.T, text []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	var message coze.Message
	want, err := json.Unmarshal(text, &members), message.UnmarshalJSON(text)
	if (err == nil) != (want == nil) {
		t.Fatalf("%q: error %v, encoding/json says %v", text, err, want)
	}
	names := make(map[string]int)
	for name := range members {
		names[strings.ToLower(name)]++
	}
	for name, got := range map[string]string{"content": message.Content, "id": message.ID, "role": string(message.Role)} {
		raw := members[name]
		if names[name] != 1 || len(raw) == 0 {
			continue // which of several counts is not for us to say
		}
		want := string(raw)
		if raw[0] == '"' || raw[0] == 'n' {
			want = ""
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
		}
		if name == "id" && want == "0" {
			want = ""
		}
		if got != want {
			t.Fatalf("%q: %s is %q, encoding/json says %q", text, name, got, want)
		}
	}
}
