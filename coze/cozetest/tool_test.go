package cozetest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

func readAll(stream *coze.Stream, chat *coze.Chat) error {
	for event, err := range stream.Events() {
		chat.Accumulate(event)
		if err != nil {
			return err
		}
	}
	return nil
}

func askTools(t *testing.T, client *coze.Client, question string) *coze.Chat {
	t.Helper()
	stream, err := client.Stream(t.Context(), &coze.ChatRequest{
		BotID: "b", UserID: "u", AdditionalMessages: []coze.Message{coze.UserText(question)},
	})
	if err != nil {
		t.Fatal(err)
	}
	chat := new(coze.Chat)
	e, ok := errors.AsType[*coze.Error](readAll(stream, chat))
	if !ok || e.Class != coze.ClassAction || !e.Ended {
		t.Fatalf("%+v, want a chat that waits for tools", e)
	}
	return chat
}

func outputs(chat *coze.Chat) (all []coze.ToolOutput) {
	for _, call := range chat.ToolCalls() {
		all = append(all, coze.ToolOutput{ToolCallID: call.ID, Output: `{"of":"` + call.Function.Name + `"}`})
	}
	return all
}

// TestTools goes through two rounds of two tools.
func TestTools(t *testing.T) {
	srv := cozetest.New(t)
	client := srv.Client()
	chat := askTools(t, client, `how warm? [[mock:action=a,b rounds=2 says=Looking. arguments={"x":1}]]`)
	var ids []string
	spent := chat.Usage.TokenCount
	for range 2 {
		calls := chat.ToolCalls()
		if len(calls) != 2 || calls[0].Function.Arguments != `{"x":1}` || calls[1].Function.Name != "b" {
			t.Fatalf("calls %+v", calls)
		}
		ids = append(ids, calls[0].ID, calls[1].ID)
		stream, err := client.SubmitToolOutputs(t.Context(), chat.ConversationID, chat.ID, outputs(chat))
		if err != nil {
			t.Fatal(err)
		}
		err = readAll(stream, chat)
		if e, ok := errors.AsType[*coze.Error](err); err != nil && (!ok || e.Class != coze.ClassAction) {
			t.Fatal(err)
		}
		spent += chat.Usage.TokenCount
	}
	want := "Looking.\nLooking.\nMock answer to \"how warm?\". a gave {\"of\":\"a\"}. b gave {\"of\":\"b\"}. a gave"
	if chat.Status != coze.StatusCompleted || !strings.HasPrefix(chat.Answer(), want) || chat.ToolCalls() != nil || spent <= chat.Usage.TokenCount {
		t.Errorf("%s %q, %d tokens of %d", chat.Status, chat.Answer(), chat.Usage.TokenCount, spent)
	}
	if ids[0] == ids[2] || srv.Accepted() != 1 || srv.Running() != 0 {
		t.Errorf("calls %v, %d chats, %d running", ids, srv.Accepted(), srv.Running())
	}
	messages, err := client.ListChatMessages(t.Context(), chat.ConversationID, chat.ID)
	if err != nil {
		t.Fatal(err)
	}
	if listed := (&coze.Chat{Messages: messages}).Answer(); listed != chat.Answer() {
		t.Errorf("listed %q, streamed %q", listed, chat.Answer())
	}
}

// TestSubmitFaults breaks the submission in each way and says what is left: how far the outputs came, and the chat's state.
func TestSubmitFaults(t *testing.T) {
	cases := map[string]struct {
		zone   coze.Zone
		status coze.Status
	}{
		"[[mock:on=submit code=4013]]":                   {coze.ZoneRefused, coze.StatusRequiresAction},
		"[[mock:on=submit gateway=502]]":                 {coze.ZoneUnknown, coze.StatusRequiresAction},
		"[[mock:on=submit hangup]]":                      {coze.ZoneUnknown, coze.StatusRequiresAction},
		"[[mock:on=submit hangup created]]":              {coze.ZoneUnknown, coze.StatusCompleted},
		"[[mock:on=submit cut=0]]":                       {coze.ZoneUnknown, coze.StatusCompleted},
		"[[mock:on=submit cut=3]]":                       {coze.ZoneCreated, coze.StatusCompleted},
		"[[mock:on=submit fail=5000]]":                   {coze.ZoneCreated, coze.StatusFailed},
		"[[mock:on=submit envelope]]":                    {coze.ZoneCreated, coze.StatusCompleted},
		"[[mock:on=submit error=5000 then=failed]]":      {coze.ZoneRefused, coze.StatusFailed},
		"[[mock:on=submit cut=1 then=failed]] and later": {coze.ZoneCreated, coze.StatusFailed},
	}
	srv := cozetest.New(t)
	client := srv.Client()
	for fault, want := range cases {
		chat := askTools(t, client, "q [[mock:action]]"+fault)
		stream, err := client.SubmitToolOutputs(t.Context(), chat.ConversationID, chat.ID, outputs(chat))
		if err == nil {
			err = readAll(stream, chat)
		}
		e, ok := errors.AsType[*coze.Error](err)
		if !ok || e.Zone != want.zone || e.ChatID != chat.ID || e.ConversationID != chat.ConversationID {
			t.Errorf("%s: %v, zone %v, want %v", fault, err, e.Zone, want.zone)
		}
		now, err := client.RetrieveChat(t.Context(), chat.ConversationID, chat.ID)
		for end := time.Now().Add(20 * time.Second); err == nil && now.Status == coze.StatusInProgress && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // the client has heard of the fault before the chat ended
			now, err = client.RetrieveChat(t.Context(), chat.ConversationID, chat.ID)
		}
		if err != nil || now.Status != want.status {
			t.Errorf("%s: then %+v %v, want %s", fault, now, err, want.status)
		}
	}
}

// TestSubmitWrong submits what the chat does not wait for.
func TestSubmitWrong(t *testing.T) {
	srv := cozetest.New(t)
	client := srv.Client()
	chat := askTools(t, client, "q [[mock:action=a,b]]")
	good := outputs(chat)
	refused := func(conversation, id string, given ...coze.ToolOutput) {
		t.Helper()
		_, err := client.SubmitToolOutputs(t.Context(), conversation, id, given)
		if e, ok := errors.AsType[*coze.Error](err); !ok || e.Zone != coze.ZoneRefused || e.Class != coze.ClassPermanent && e.Class != coze.ClassInvalid {
			t.Errorf("%v, want a refusal", err)
		}
	}
	refused("", chat.ID, good...)
	refused(chat.ConversationID, "", good...)
	refused(chat.ConversationID, chat.ID)
	refused(chat.ConversationID, chat.ID, good[0])
	refused(chat.ConversationID, chat.ID, good[0], good[0])
	stream, err := client.SubmitToolOutputs(t.Context(), chat.ConversationID, chat.ID, good)
	if err == nil {
		err = readAll(stream, chat)
	}
	if err != nil || !chat.HasAnswer() {
		t.Errorf("%v %+v", err, chat)
	}
	refused(chat.ConversationID, chat.ID, good...) // it has taken them
}
