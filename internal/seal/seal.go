// Package seal knows what an encrypted value looks like. results.Keys makes and opens such values; packages around it only
// need to recognise them and to name the fields that they belong to.
package seal

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// Mark begins an encrypted value: enc:v1:KEYID:BASE64. The base64 is that of a random nonce of 12 bytes, the ciphertext of
// AES-256-GCM, and its tag of 16 bytes. Its additional data is OWNER/FIELD: the id of the task or batch that the value
// belongs to, and its name. So a value in another's place does not decrypt.
const Mark = "enc:v1:"

// extra is what a ciphertext has more than its text: nonce and tag.
const extra = 12 + 16

// Names of the encrypted fields of a task, as they are in the additional data.
const (
	Answer    = "answer"
	Reasoning = "reasoning"
	FollowUps = "follow_ups"
	AsksBack  = "asks_back"
	Warnings  = "warnings"
	Error     = "error_msg" // a failure's message in the record
	Tools     = "tools"     // the calls of tools that a chat waits for
	Summary   = "summary"   // what asynq shows as a task's result
)

// SaysMore ends the text of a failure that a worker with keys gives to asynq: its message is in the record alone.
const SaysMore = "the record says more"

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)

func IsKeyID(id string) bool { return keyID.MatchString(id) }

// Parse takes a value apart. ok is false for text that is not encrypted, also if it begins as if it were.
func Parse(value string) (keyID, encoded string, ok bool) {
	rest, ok := strings.CutPrefix(value, Mark)
	if !ok {
		return "", "", false
	}
	keyID, encoded, ok = strings.Cut(rest, ":")
	if !ok || !IsKeyID(keyID) || len(encoded)%4 != 0 || len(encoded) < base64.StdEncoding.EncodedLen(extra) {
		return "", "", false
	}
	return keyID, encoded, true
}

func Is(value string) bool {
	_, _, ok := Parse(value)
	return ok
}
