package cozetest

import (
	"cmp"
	"strconv"
)

// The codes that the fake refuses with by itself.
const (
	codeParameter      = 4000
	codeChat           = 4001
	codeConversation   = 4002
	codeMetaData       = 4003
	codeTooMany        = 4004
	codeHistory        = 4007
	codeModel          = 4013
	codeBusy           = 4016
	codeAuthentication = 4100
	codePermission     = 4101
	codeNotRunning     = 4104
	codeResource       = 4200
	codeNoFile         = 4300
	codeManyFiles      = 4301
	codeLargeFile      = 4302
	codeFileType       = 4303
	codeBrokenFile     = 4304
	codeNoRun          = 4314
	codeRunOver        = 4315
	codeInternal       = 5000
	codeNoAsync        = 6003
	codeToken          = 700012006
)

// messages are the texts that go with codes in scripted faults. Coze changes its texts without notice: nobody may match on
// them.
var messages = map[int]string{
	codeParameter:      "Request parameter error",
	codeChat:           "The chat does not exist or you do not have permission to access it",
	codeConversation:   "The conversation does not exist or you do not have permission to access it",
	codeModel:          "The model is busy, please try again later",
	codeBusy:           "Conversation occupied: another chat is in progress in this conversation",
	codeAuthentication: "authentication is invalid",
	codePermission:     "The token you entered is incorrect or has no permission",
	codeResource:       "The resource does not exist",
	codeInternal:       "Internal error",
	codeToken:          "access token invalid",
}

func message(code int) string { return cmp.Or(messages[code], "mock error "+strconv.Itoa(code)) }
