package cozetest

import "cmp"

// onChatflow is the call that asks a chatflow. Its chat meets the rules of chats.
const onChatflow = "chatflow"

// chatflow answers POST /v1/workflows/chat as a bot would that is the workflow. Its messages are text alone.
func (x *exchange) chatflow() {
	var body struct {
		workflowBody
		ConversationID string         `json:"conversation_id"`
		Messages       []enterMessage `json:"additional_messages"`
	}
	if r := x.decode(&body); r != nil {
		x.refuse(r)
		return
	}
	f := x.fake
	x.entry.WorkflowID, x.entry.ConversationID, x.entry.Stream = body.WorkflowID, body.ConversationID, true
	x.entry.BotID, x.entry.UserID = body.BotID, body.Ext["user_id"]
	refused := f.checkRun(&body.workflowBody, true, false)
	switch {
	case refused != nil:
	case (body.BotID == "") == (body.AppID == ""):
		refused = refuse(codeParameter, "one of bot_id and app_id is required")
	case body.Parameters == nil:
		refused = refuse(codeParameter, "parameters is required")
	case len(body.Messages) == 0 || len(body.Messages) > 50:
		refused = refuse(codeParameter, "additional_messages has to have 1 to 50 elements")
	}
	for i := range body.Messages {
		if refused == nil {
			refused = body.Messages[i].check()
		}
		if refused == nil && body.Messages[i].ContentType == "object_string" {
			refused = refuse(codeParameter, "additional_messages takes text only")
		}
	}
	if refused != nil {
		x.refuse(refused)
		return
	}
	x.ask(&chatBody{BotID: cmp.Or(body.BotID, body.AppID), UserID: cmp.Or(body.Ext["user_id"], "0"), Messages: body.Messages, Stream: true})
}

// interrupted ends the stream of a chatflow that asks back: it has no end of a chat.
func (e *emitter) interrupted() error {
	m := e.chat.rest[0]
	for _, note := range []string{`{"msg_type":"interrupt","data":"","from_module":null,"from_unit":null}`, finishNote} {
		m.content = note
		if err := e.send(messageCompleted, m.append); err != nil {
			return err
		}
	}
	return e.done()
}
