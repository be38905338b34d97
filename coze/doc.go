// Package coze is a client of Coze's open API for programs that ask bots questions by the thousand: conversations,
// messages, and chats, streamed or polled.
//
// It tries every call once and reports facts. A failure is always an [*Error] with Coze's reply (code, HTTP status, log
// id, how long to wait), its meaning ([Class], from one [CodeTable]) and, for a chat, how far it had come ([Zone]): POST
// /v3/chat is not idempotent, and only the zone says whether asking again could ask twice. A stream that ends before its
// last event is an error ([ErrTruncated]), never a short answer. Replies are decoded leniently: Coze sends the same field
// as a number, as a string, as null or not at all, and ids keep all their digits.
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
// A token comes from a [TokenSource]: [StaticToken], [TokenFile], or package oauth. If Coze refuses a token and the source
// is a [Refresher] with another one, the call is sent again. That is the only exception to trying once: the first call had
// no effect. [Client.Check] tells a bad token from a bad bot id before anything is asked.
//
// The package does not retry, queue, limit rates, cache or log; its callers do. It imports only the standard library and
// internal/textfile. Anyone may import it.
package coze
