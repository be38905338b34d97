// Package coze is a client of Coze's open API for programs that ask bots questions by the thousand: conversations,
// messages, and chats, streamed or polled.
//
// It tries every call once and reports facts: a failure is always an [*Error] that says what Coze said (code, HTTP
// status, log id, how long to wait), what that means ([Class], from one [CodeTable]) and, for a chat, how far it had
// come ([Zone]), because a POST /v3/chat is not idempotent and only that tells whether asking again would ask twice.
// A stream that ends before its last event is an error ([ErrTruncated]), never a short answer. Replies are decoded
// leniently: Coze sends one field as a number, a string, null or not at all, and ids keep all their digits.
//
// The usual loop:
//
//	client := &coze.Client{Auth: coze.StaticToken(token)}
//	stream, err := client.Stream(ctx, &coze.ChatRequest{
//		BotID: bot, UserID: "me", AdditionalMessages: []coze.Message{coze.UserText("hello")},
//	})
//	if err != nil {
//		return err
//	}
//	defer stream.Close()
//	var chat coze.Chat
//	for event, err := range stream.Events() {
//		if err != nil {
//			return err
//		}
//		chat.Accumulate(event)
//	}
//	fmt.Println(chat.Answer())
//
// A token comes from a [TokenSource]: [StaticToken], [TokenFile], or package oauth. Where Coze refuses one and the source
// is a [Refresher] that has another, the call is sent once more, which is the one exception to trying once: nothing came
// of the first. [Client.Check] tells a bad token from a bad bot id before anything is asked.
//
// The package does not otherwise retry, queue, limit rates, cache or log; whoever owns the task does. It knows nothing of the
// rest of this module and imports the standard library only. Anyone may import it.
package coze
