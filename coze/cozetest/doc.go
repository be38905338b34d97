// Package cozetest is a fake Coze: an HTTP server that speaks the wire format of
// Coze's open API, down to its oddities, keeps conversations and chats as Coze
// does, remembers what it was asked, and breaks on command. It stands beside
// package coze as httptest stands beside net/http; `cozeq mock` serves it to
// programs in other languages.
//
// It is not a model (its answers are canned), it does not check what a bot may do, and it does not speak the voice parts of the
// API. A workflow gives its parameters back, as an object with one member more, output. Of an uploaded file it keeps the name
// and the size. Where Coze's behaviour is not documented, it picks one and says so at the place. Tests and the program may
// import it; coze must not.
//
// # In a test
//
//	srv := cozetest.New(t, cozetest.WithRules(cozetest.Rule{
//		Contains: "weather",
//		Times:    1,
//		Fault:    cozetest.Fault{Kind: cozetest.Cut, After: 5},
//	}))
//	client := srv.Client() // a *coze.Client with a token that srv accepts
//	...
//	if n := srv.ByQuestion("how is the weather?"); n != 1 {
//		t.Errorf("asked %d times, want once", n)
//	}
//
// NewInMemory does the same without a network and works inside a testing/synctest
// bubble. Start and NewHandler are for programs.
//
// # What it keeps to
//
// A chat goes on when its client hangs up, and its answer can be looked up. One
// chat at a time runs in a conversation: another is refused with 4016, as the
// first and only event of its stream. A finished chat cannot be canceled (4104).
// Canceling does not stop an open stream (but see Config.CancelEnds). A chat
// without auto_save_history cannot be looked up (4001). On POST /v3/chat the bot
// is looked up before the token is, so that a bad token may be told 4200; there
// a missing token is code 4101 at HTTP 200, elsewhere 700012006 at HTTP 401.
// Refusals of chats come at HTTP 200, others at 400. A chat's message list has no
// data unless the chat completed. A chat that waits for a tool's output
// occupies its conversation until it gets the outputs of all its calls, each once;
// outputs that it does not wait for are refused with 4000. The usage of each round
// is its own. With Config.OAuthKey there is an OAuth app
// of type JWT, whose tokens expire.
//
// # Faults
//
// [Rule] and [Fault] say what can go wrong. A script of rules is Go, or JSON for [LoadScript]; its fields are those of the two
// types in lower case, Kind as fault:
//
//	{"rules": [{"contains": "weather", "fault": "refuse", "code": 4013, "times": 2}, {"pace": "40ms", "deltas": 25}]}
//
// A person at the command line asks for a fault in the question itself, and the answer leaves the directive out:
//
//	[[mock:code=4013 times=2]]       refused with 4013 twice, then answered
//	[[mock:cut=5 then=failed]]       the stream ends after five events, and the chat fails behind it
//
// The question of a workflow's run is its parameters as JSON, so that a directive may stand in any text among them; that of a
// resumed run is resume_data. docs/mock.md lists the fields, the faults and the directives.
package cozetest
