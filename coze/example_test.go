package coze_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/cozeq/cozeq/coze"
)

// A question, its answer as it comes, and what it cost. The server here stands in for Coze.
func ExampleClient_Stream() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, `event:conversation.chat.created
data:{"id":"7382159487131697202","conversation_id":"7381473525342978089","status":"created"}

event:conversation.message.delta
data:{"id":"1","role":"assistant","type":"answer","content":"The Red ","content_type":"text"}

event:conversation.message.delta
data:{"id":"1","role":"assistant","type":"answer","content":"Planet","content_type":"text"}

event:conversation.message.completed
data:{"id":"1","role":"assistant","type":"answer","content":"The Red Planet","content_type":"text"}

event:conversation.chat.completed
data:{"id":"7382159487131697202","status":"completed","usage":{"token_count":633,"output_count":19,"input_count":614}}

event:done
data:"[DONE]"

`)
	}))
	defer server.Close()

	client := &coze.Client{BaseURL: server.URL, Auth: coze.StaticToken("pat_..."), HTTP: server.Client()}
	stream, err := client.Stream(context.Background(), &coze.ChatRequest{
		BotID:              "7379462189365198898",
		UserID:             "me",
		AdditionalMessages: []coze.Message{coze.UserText("What is Mars called?")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	stream.Deltas = true

	var chat coze.Chat
	for event, err := range stream.Events() {
		if err != nil {
			fmt.Println(err)
			return
		}
		if event.Type == coze.EventMessageDelta {
			fmt.Printf("%q\n", event.Message.Content)
		}
		chat.Accumulate(event)
	}
	fmt.Println(chat.Answer(), chat.Usage.TokenCount)
	// Output:
	// "The Red "
	// "Planet"
	// The Red Planet 633
}

// An operator's correction of the table of codes.
func ExampleCodeTable_Override() {
	table, err := coze.DefaultCodes().Override(strings.NewReader(`{"4013": {"class": "transient", "tries": 2}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	row, _ := table.Lookup(4013)
	fmt.Println(row.Class, row.Tries)
	// Output: transient 2
}

// What an error tells.
func ExampleError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Tt-Logid", "20261123101112")
		io.WriteString(w, `{"code":4028,"msg":"free quota used up"}`)
	}))
	defer server.Close()

	client := &coze.Client{BaseURL: server.URL, Auth: coze.StaticToken("pat_..."), HTTP: server.Client()}
	_, err := client.CreateChat(context.Background(), &coze.ChatRequest{BotID: "1", UserID: "me"})
	if e, ok := errors.AsType[*coze.Error](err); ok {
		fmt.Println(e)
		fmt.Println(e.Class, e.Scope, e.Zone)
		fmt.Println(e.Hint())
	}
	// Output:
	// coze 4028 (quota): free quota used up logid=20261123101112
	// quota account refused
	// Buy a plan or credits at Coze, then go on: the free quota does not come back.
}
