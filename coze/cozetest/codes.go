package cozetest

import "strconv"

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

// message is the text that goes with a code in scripted faults. Coze changes its
// texts without notice: nobody may match on them.
func message(code int) string {
	switch code {
	case codeParameter:
		return "Request parameter error"
	case codeChat:
		return "The chat does not exist or you do not have permission to access it"
	case codeConversation:
		return "The conversation does not exist or you do not have permission to access it"
	case codeModel:
		return "The model is busy, please try again later"
	case codeBusy:
		return "Conversation occupied: another chat is in progress in this conversation"
	case codeAuthentication:
		return "authentication is invalid"
	case codePermission:
		return "The token you entered is incorrect or has no permission"
	case codeResource:
		return "The resource does not exist"
	case codeInternal:
		return "Internal error"
	case codeToken:
		return "access token invalid"
	}
	return "mock error " + strconv.Itoa(code)
}
