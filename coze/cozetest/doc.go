// Package cozetest is a fake Coze: an HTTP server that speaks the wire format of
// Coze's open API, down to its oddities, keeps conversations and chats as Coze
// does, remembers what it was asked, and breaks on command. It stands beside
// package coze as httptest stands beside net/http; `cozeq mock` serves it to
// programs in other languages.
//
// It is not a model (its answers are canned), it does not check what a bot may
// do, and it does not speak the voice parts of the API. A workflow gives its
// parameters back, as an object with one member more, output. Of an uploaded file it keeps the name and the size. Where Coze's behaviour is not documented,
// it picks one and says so at the place. Tests and the program may import it; coze
// must not.
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
// # Faults in a question
//
// A person at the command line asks for a fault in the question itself; the
// answer leaves the directive out:
//
//	[[mock:code=4013 times=2]]       refused with 4013 twice, then answered
//	[[mock:cut=5]]                   the stream ends after five events
//	[[mock:cut=5 then=failed]]       and the chat fails behind it
//	[[mock:cut bytes=700 reset]]     the connection breaks after 700 bytes
//	[[mock:stall=30s after=3]]       thirty seconds of silence after three events
//	[[mock:stall after=3]]           silence for ever
//	[[mock:error=4016]]              an error event, first and only
//	[[mock:fail=702112103]]          chat.failed with that last_error
//	[[mock:limit=7s]]                HTTP 429 with Retry-After: 7
//	[[mock:gateway=504]]             a proxy's HTML page
//	[[mock:hangup created]]          no reply at all, but the chat runs
//	[[mock:hangup for=90s]]          nor any for a minute and a half
//	[[mock:expired]]                 the conversation is gone (4002)
//	[[mock:action]]                  requires_action: the bot calls get_weather
//	[[mock:action=a,b rounds=2]]     it calls the tools a and b, twice
//	[[mock:cut=1 tool=a]]            it calls the tool a, and the stream is cut before that
//	[[mock:on=submit cut=2]]         the stream after a tool's output is cut
//	[[mock:ask_back]]                the bot asks back, and waits for the next turn
//	[[mock:envelope]]                the chat runs, its JSON comes in place of a stream
//	[[mock:cut=2 unnamed]]           the stream has no chat.created, and is cut
//	[[mock:strays]]                  another chat's events are in the stream, too
//	[[mock:answers=3 reasoning]]     three answers after reasoning
//	[[mock:size=100000]]             an answer of 100,000 bytes
//	[[mock:lines=crlf,comments]]     odd line endings, comments between events
//
// The question of a workflow's run is its parameters as JSON, so that a directive
// may stand in any text among them; that of a resumed run is resume_data. Cut, stall,
// error, fail, refusals and the pace act as on a chat. The others:
//
//	[[mock:ask_back]]                a question node interrupts the run, type 2
//	[[mock:action]]                  a client-side plugin does, type 6
//	[[mock:answers=3]]               three messages of output nodes
//	[[mock:answer=text]]             what the end node gives
//	[[mock:then=running]]            the run never ends
//
// A directive is a fault's name or none, and fields of the table below, with
// `=true` left out. NAME=VALUE sets the field that matters most to a fault: the
// code (of refuse, expired, error, bare, fail, fail_flat), `after` of cut, `for`
// of stall and limit, `status` of gateway, `pace` of drip and endless, `created`
// of hangup, `tool` of action. `on` may be submit. Values hold no spaces. A question may have several directives: the
// first that still applies wins, and all of them go before the script.
//
// # Scripts
//
// LoadScript reads rules from JSON; the first rule that applies to an ask wins:
//
//	{"rules": [
//	  {"contains": "weather", "fault": "refuse", "code": 4013, "times": 2},
//	  {"match": "^slow", "fault": "stall", "after": 3, "for": "30s"},
//	  {"nth": 7, "fault": "gateway", "status": 503},
//	  {"percent": 1.5, "fault": "cut", "after": 4, "then": "failed", "behind": "2s"},
//	  {"on": "retrieve", "fault": "limit", "for": 7, "times": 1},
//	  {"pace": "40ms", "deltas": 25}
//	]}
//
// The fields, with the fields of Rule and Fault in Go that explain them:
//
//	on        text      the call: chat, submit, retrieve, messages, cancel, history, conversation, message,
//	                    delete, token, upload, file, workflow, run_history
//	contains  text      a part of the question
//	match     regexp    of the question
//	nth       number    the ask's number, from 1
//	times     number    asks of one question that meet the fault; 0 all
//	percent   number    of the asks, chosen by the seed
//	fault     text      refuse, limit, expired, gateway, hangup, bare, error, fail,
//	                    fail_flat, cut, stall, drip, endless, action, ask_back, move,
//	                    envelope, stray
//	code msg  number, text   Coze's error
//	status    number    HTTP status
//	for       duration  of a stall; of the silence before hangup and gateway; Retry-After of limit
//	date      bool      Retry-After as an HTTP date
//	after     number    events before the fault
//	bytes     number    bytes before a cut
//	mid_json  bool      the cut is inside the next event's data
//	reset     bool      the cut breaks the connection
//	created   bool      hangup and gateway leave a running chat behind
//	then      text      the chat's end behind the fault: completed, failed, canceled, running
//	behind    duration  how much later that end comes
//	lines     text      crlf, cr, mixed, space, bom, comments, multi, swap, bytes, nofinal
//	done      text      bare, empty, debug_url, stream.done, none
//	pace latency        duration
//	deltas    number    pieces of the answer
//	answer    text      the answer
//	size      number    bytes of the answer
//	answers   number    of answers
//	tool      text      the tools that the bot calls before it answers, with commas between them
//	arguments says      text, text; what each call is given, and what the bot says before
//	rounds    number    of calls (1)
//	type      text      the answers' content type: text, card, audio, object_string
//	empty reasoning     bool
//	unnamed   bool      the stream lacks chat.created and in_progress
//	strays    bool      the stream has another chat's events, too
//
// Durations are texts such as "1.5s" or numbers of seconds.
package cozetest
