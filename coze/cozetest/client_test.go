package cozetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

// stream asks with the real client and folds the whole stream.
func stream(ctx context.Context, client *coze.Client, conversation, question string) (*coze.Chat, error) {
	s, err := client.Stream(ctx, &coze.ChatRequest{
		ConversationID: conversation, BotID: "1", UserID: "u",
		AdditionalMessages: []coze.Message{{Role: "user", Content: question, ContentType: "text"}},
	})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var chat coze.Chat
	for e, err := range s.Events() {
		if err != nil {
			return &chat, err
		}
		chat.Accumulate(e)
	}
	return &chat, nil
}

func TestClientReadsEveryForm(t *testing.T) {
	srv := cozetest.New(t)
	client := srv.Client()
	for _, shape := range []string{"deltas=5", "lines=crlf", "lines=cr,comments", "lines=mixed,space", "lines=bom,multi", "lines=swap",
		"lines=bytes", "lines=nofinal", "done=bare", "done=empty", "done=debug_url", "done=stream.done", "done=none", "reasoning", "size=200000",
		"stall=1ms after=4", "latency=1ms pace=1ms", "move", "cut=16"} {
		t.Run(shape, func(t *testing.T) {
			chat, err := stream(t.Context(), client, "", "数据🙂 [[mock:"+shape+"]]")
			if err != nil {
				t.Fatal(err)
			}
			if got := chat.Answer(); shape != "size=200000" && got != `Mock answer to "数据🙂".` || len(got) == 0 {
				t.Errorf("answer %.100q", got)
			}
			if len(chat.FollowUps()) != 3 || chat.Usage == nil || chat.Status != "completed" {
				t.Errorf("chat %+v", chat)
			}
		})
	}
}

func TestClientClassifiesEveryFault(t *testing.T) {
	for fault, want := range map[string]struct {
		class coze.Class
		zone  coze.Zone
	}{
		"code=4013":               {coze.ClassRate, coze.ZoneRefused},
		"code=4101":               {coze.ClassAuth, coze.ZoneRefused},
		"code=4100 status=401":    {coze.ClassAuth, coze.ZoneRefused},
		"code=4028":               {coze.ClassQuota, coze.ZoneRefused},
		"limit=7s":                {coze.ClassRate, coze.ZoneRefused},
		"limit=7s date":           {coze.ClassRate, coze.ZoneRefused},
		"error=4016":              {coze.ClassBusy, coze.ZoneRefused},
		"error":                   {coze.ClassTransient, coze.ZoneUnknown},
		"expired":                 {coze.ClassPermanent, coze.ZoneRefused},
		"gateway":                 {coze.ClassTransient, coze.ZoneUnknown},
		"gateway=504 created":     {coze.ClassTransient, coze.ZoneUnknown},
		"hangup":                  {coze.ClassTransient, coze.ZoneUnknown},
		"cut=0":                   {coze.ClassTransient, coze.ZoneUnknown},
		"cut=1":                   {coze.ClassTruncated, coze.ZoneCreated},
		"cut=4 mid_json":          {coze.ClassTruncated, coze.ZoneCreated},
		"cut bytes=1500":          {coze.ClassTruncated, coze.ZoneCreated},
		"cut=10":                  {coze.ClassTruncated, coze.ZoneCreated},
		"stall after=3":           {coze.ClassTimeout, coze.ZoneCreated},
		"drip=10s after=3":        {coze.ClassTimeout, coze.ZoneCreated},
		"error=702112101 after=3": {coze.ClassTransient, coze.ZoneCreated},
		"fail=702112103":          {coze.ClassRate, coze.ZoneCreated},
		"fail_flat=720702204":     {coze.ClassPermanent, coze.ZoneCreated},
		"action":                  {coze.ClassAction, coze.ZoneCreated},
		"bare=4101":               {coze.ClassAuth, coze.ZoneRefused},
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := cozetest.NewInMemory(t)
				client := srv.Client()
				client.Idle = 30 * time.Second
				conv, err := client.CreateConversation(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				chat, err := stream(t.Context(), client, conv.ID, "q [[mock:"+fault+"]]")
				if err == nil {
					if ce := chat.Err(); ce != nil {
						err = ce
					}
				}
				ce, ok := errors.AsType[*coze.Error](err)
				if !ok || ce.Class != want.class || ce.Zone != want.zone {
					t.Fatalf("%#v, want class %s, zone %d", err, want.class, want.zone)
				}
				if want.zone == coze.ZoneCreated && (ce.ConversationID != conv.ID || ce.ChatID == "") {
					t.Errorf("ids %q and %q", ce.ConversationID, ce.ChatID)
				}
				if fault == "limit=7s" && ce.RetryAfter != 7*time.Second {
					t.Errorf("retry after %v", ce.RetryAfter)
				}
			})
		})
	}
}

func TestClientFindsWhatTheCutStreamMissed(t *testing.T) {
	srv := cozetest.New(t)
	client := srv.Client()
	conv, err := client.CreateConversation(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream(t.Context(), client, conv.ID, "q [[mock:cut=4 reset]]")
	ce, ok := errors.AsType[*coze.Error](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	chat, err := client.RetrieveChat(t.Context(), ce.ConversationID, ce.ChatID)
	if err != nil {
		t.Fatal(err)
	}
	chat.Messages, err = client.ListChatMessages(t.Context(), ce.ConversationID, ce.ChatID)
	if err != nil || chat.Status != "completed" || chat.Answer() != `Mock answer to "q".` {
		t.Errorf("%+v, %v", chat, err)
	}
	page, err := client.ListMessages(t.Context(), conv.ID, &coze.ListMessagesRequest{Limit: 1, Order: "asc"})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].ChatID != ce.ChatID || !page.HasMore {
		t.Errorf("history %+v, %v", page, err)
	}
	if srv.Accepted() != 1 || srv.Repeats() != 0 {
		t.Errorf("%d chats, %d repeats", srv.Accepted(), srv.Repeats())
	}
}

func TestClientCancels(t *testing.T) {
	srv := cozetest.New(t)
	client := srv.Client()
	chat, err := client.CreateChat(t.Context(), &coze.ChatRequest{BotID: "1", UserID: "u",
		AdditionalMessages: []coze.Message{{Role: "user", Content: "[[mock:pace=1h]]", ContentType: "text"}}})
	if err != nil {
		t.Fatal(err)
	}
	if chat, err = client.CancelChat(t.Context(), chat.ConversationID, chat.ID); err != nil || chat.Status != "canceled" {
		t.Errorf("%+v, %v", chat, err)
	}
	_, err = client.CancelChat(t.Context(), chat.ConversationID, "1")
	if ce, ok := errors.AsType[*coze.Error](err); !ok || ce.Code != 4001 {
		t.Errorf("error %v", err)
	}
}

func ExampleStart() {
	srv, err := cozetest.Start("", cozetest.Config{Rules: cozetest.Script{
		{Contains: "weather", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4013}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	for range 2 {
		chat, err := stream(context.Background(), srv.Client(), "", "how is the weather?")
		if ce, ok := errors.AsType[*coze.Error](err); ok {
			fmt.Println("refused:", ce.Code, ce.Class)
			continue
		}
		fmt.Println(chat.Answer())
	}
	// Output:
	// refused: 4013 rate
	// Mock answer to "how is the weather?".
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	srv := cozetest.New(t)
	if _, err := cozetest.Start(strings.TrimPrefix(srv.URL, "http://"), cozetest.Config{}); err == nil {
		t.Error("two servers on one port")
	}
	_, err := cozetest.Start("", cozetest.Config{Rules: cozetest.Script{{On: "moon"}}})
	if err == nil || !strings.Contains(err.Error(), "rule 1") {
		t.Errorf("error %v", err)
	}
}
