package cozetest

import "strings"

type route struct {
	methods []string
	on      string // its name in rules
	open    bool   // looks after the token itself
	limited bool   // counts toward the QPS that all chat calls share, or all workflow calls
	serve   func(*exchange)
}

var routes = map[string]route{
	"/v1/conversation/create":           {[]string{"POST"}, "conversation", false, false, (*exchange).createConversation},
	"/v1/conversation/retrieve":         {[]string{"GET"}, "", false, false, (*exchange).retrieveConversation},
	"/v1/conversation/message/create":   {[]string{"POST"}, "message", false, false, (*exchange).createMessage},
	"/v1/conversation/message/delete":   {[]string{"POST"}, "delete", false, false, (*exchange).deleteMessage},
	"/v1/conversation/message/list":     {[]string{"POST"}, "history", false, false, (*exchange).listHistory},
	"/v3/chat":                          {[]string{"POST"}, "chat", true, true, (*exchange).createChat},
	"/v3/chat/retrieve":                 {[]string{"GET", "POST"}, "retrieve", false, true, (*exchange).retrieveChat},
	"/v3/chat/message/list":             {[]string{"GET", "POST"}, "messages", false, true, (*exchange).listMessages},
	"/v3/chat/submit_tool_outputs":      {[]string{"POST"}, onSubmit, false, false, (*exchange).submitOutputs},
	"/v3/chat/cancel":                   {[]string{"POST"}, "cancel", false, false, (*exchange).cancelChat},
	"/api/permission/oauth2/token":      {[]string{"POST"}, "token", true, false, (*exchange).grantToken},
	"/v1/files/upload":                  {[]string{"POST"}, onUpload, false, false, (*exchange).uploadFile},
	"/v1/files/retrieve":                {[]string{"GET"}, "file", false, false, (*exchange).retrieveFile},
	"/v1/commerce/benefit/benefits/get": {[]string{"GET"}, "benefit", false, false, (*exchange).benefits},
	"/v1/bot/get_online_info":           {[]string{"GET"}, "bot", false, false, (*exchange).onlineInfo},
	"/v1/users/me":                      {[]string{"GET"}, "user", false, false, (*exchange).me},
	"/v1/workflow/run":                  {[]string{"POST"}, onWorkflow, false, true, workflow(false, false)},
	"/v1/workflow/stream_run":           {[]string{"POST"}, onWorkflow, false, true, workflow(true, false)},
	"/v1/workflows/resume":              {[]string{"POST"}, onWorkflow, false, true, workflow(false, true)},
	"/v1/workflow/stream_resume":        {[]string{"POST"}, onWorkflow, false, true, workflow(true, true)},
	"/v1/workflows/chat":                {[]string{"POST"}, onChatflow, false, true, (*exchange).chatflow},
	pathHistory:                         {[]string{"GET"}, onHistory, false, true, (*exchange).runHistory},
}

// pathHistory is a run's history without its ids: see callOf.
const pathHistory = "/v1/workflows/:workflow_id/run_histories/:execute_id"

// callOf is a call's path without the ids in it.
func callOf(path string) string {
	path = strings.TrimSuffix(path, "/")
	if parts := strings.Split(path, "/"); len(parts) == 6 && strings.HasPrefix(path, "/v1/workflows/") && parts[4] == "run_histories" {
		return pathHistory
	}
	return path
}

// ofWorkflows reports whether a route is one of the workflow calls.
func (r *route) ofWorkflows() bool {
	return r.on == onWorkflow || r.on == onHistory || r.on == onChatflow
}
