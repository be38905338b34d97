package cozetest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
)

// A fake that refuses a question about the weather once, as a rate limit does. In a test
// it is cozetest.New(t, ...), which closes itself.
func Example() {
	srv, err := cozetest.Start("", cozetest.Config{
		Answer: func(question string) string { return "You asked: " + question },
		Rules: cozetest.Script{{
			Contains: "weather",
			Times:    1,
			Fault:    cozetest.Fault{Kind: cozetest.Refuse, Code: 4013},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	for range 2 {
		fmt.Println(answerOf(srv.Client(), "How is the weather?"))
	}
	fmt.Println("chats:", srv.ByQuestion("How is the weather?"))
	// Output:
	// refused: rate
	// You asked: How is the weather?
	// chats: 1
}

// answerOf stands for the code under test.
func answerOf(client *coze.Client, question string) string {
	stream, err := client.Stream(context.Background(), &coze.ChatRequest{
		BotID: "7461001", UserID: "me", AdditionalMessages: []coze.Message{coze.UserText(question)},
	})
	if e, ok := errors.AsType[*coze.Error](err); ok {
		return "refused: " + string(e.Class)
	}
	defer stream.Close()
	var chat coze.Chat
	for event, err := range stream.Events() {
		if err != nil {
			return err.Error()
		}
		chat.Accumulate(event)
	}
	return chat.Answer()
}
