package results

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/cozeq/cozeq/internal/seal"
)

// fieldPart names one of several answers, by its place.
func fieldPart(i int) string { return "parts." + strconv.Itoa(i) }

// SealedError says that a value is encrypted and cannot be read here.
type SealedError struct {
	KeyID string

	// Held is true where there is a key of that id: it is another one, or the value was
	// changed or is in another's place.
	Held bool
}

func (e *SealedError) Error() string {
	if e.Held {
		return "encrypted with key " + e.KeyID + ", which does not open it: the key of that id in COZEQ_ENCRYPTION_KEY_FILE is another one, or the value was changed"
	}
	return "encrypted with key " + e.KeyID + ": set COZEQ_ENCRYPTION_KEY_FILE to a file that has it"
}

// MarshalJSON implements json.Marshaler: {"key_id","message"}.
func (e *SealedError) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"key_id": e.KeyID, "message": e.Error()})
}

// UnmarshalJSON implements json.Unmarshaler. What a program has written is read back,
// but for Held.
func (e *SealedError) UnmarshalJSON(data []byte) error {
	var v struct {
		KeyID string `json:"key_id"`
	}
	err := json.Unmarshal(data, &v)
	e.KeyID = v.KeyID
	return err
}

// Seal encrypts a value that belongs to owner, a task or a batch, as its field. Without
// keys it is returned as it is, and so is what is empty.
func (k *Keys) Seal(owner, field, text string) string {
	if k == nil || text == "" {
		return text
	}
	head := seal.Mark + k.ids[0] + ":"
	sealed := k.aeads[k.ids[0]].Seal(nil, nil, []byte(text), additional(owner, field))
	value := make([]byte, 0, len(head)+base64.StdEncoding.EncodedLen(len(sealed)))
	return string(base64.StdEncoding.AppendEncode(append(value, head...), sealed))
}

// Open decrypts what Seal has made for the same owner and field; what is not encrypted
// is returned as it is. One that cannot be decrypted is a *SealedError.
func (k *Keys) Open(owner, field, value string) (string, error) {
	id, encoded, ok := seal.Parse(value)
	if !ok {
		return value, nil
	}
	if k == nil || k.aeads[id] == nil {
		return "", &SealedError{KeyID: id}
	}
	sealed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", &SealedError{KeyID: id, Held: true}
	}
	text, err := k.aeads[id].Open(sealed[:0], nil, sealed, additional(owner, field))
	if err != nil {
		return "", &SealedError{KeyID: id, Held: true}
	}
	return string(text), nil
}

func additional(owner, field string) []byte { return []byte(owner + "/" + field) }

// eachSealed calls text for each text of the result that is encrypted, and list for each list, with its field. It may change them.
func (r *Result) eachSealed(text func(field string, value *string), list func(field string, values *[]string)) {
	text(seal.Answer, &r.Answer)
	text(seal.Reasoning, &r.Reasoning)
	text(seal.AsksBack, &r.AsksBack)
	for i := range r.Parts {
		text(fieldPart(i), &r.Parts[i].Content)
	}
	list(seal.FollowUps, &r.FollowUps)
	list(seal.Warnings, &r.Warnings)
	if r.Error != nil && !r.Error.Unencrypted {
		text(seal.Error, &r.Error.Message)
	}
}

// copied is a copy of which eachSealed may change all.
func (r *Result) copied() *Result {
	c := *r
	c.Parts = slices.Clone(r.Parts)
	if r.Error != nil {
		failure := *r.Error
		c.Error = &failure
	}
	return &c
}

func isSealedList(values []string) bool { return len(values) == 1 && seal.Is(values[0]) }

// Seal returns the result of the task with this id as Redis gets it: its texts encrypted with
// k. An encrypted list has one element, the JSON of all. A text that [Parse] could not decrypt
// goes back as it came.
func (r *Result) Seal(k *Keys, id string) *Result {
	if k == nil && r.Sealed == nil {
		return r
	}
	s := r.copied()
	s.Sealed = nil
	if k == nil {
		return s
	}
	s.eachSealed(func(field string, value *string) {
		if r.Sealed == nil || !seal.Is(*value) {
			*value = k.Seal(id, field, *value)
		}
	}, func(field string, values *[]string) {
		if len(*values) > 0 && (r.Sealed == nil || !isSealedList(*values)) {
			*values = []string{k.Seal(id, field, listText(*values))}
		}
	})
	return s
}

// Readable is the result without the texts that could not be decrypted; r itself where
// all could.
func (r *Result) Readable() *Result {
	if r.Sealed == nil {
		return r
	}
	clean := r.copied()
	clean.eachSealed(func(_ string, value *string) {
		if seal.Is(*value) {
			*value = ""
		}
	}, func(_ string, values *[]string) {
		if isSealedList(*values) {
			*values = nil
		}
	})
	return clean
}

// open decrypts the result of a task in place. What it cannot decrypt it leaves as it
// stands, and says so in Sealed. The id is that which was asked for: the one in the
// record may have come with a record that was copied.
func (r *Result) open(k *Keys, id string) {
	r.Sealed = nil
	text := func(field string, value *string) {
		opened, err := k.Open(id, field, *value)
		if err == nil {
			*value = opened
		} else if r.Sealed == nil {
			r.Sealed, _ = err.(*SealedError)
		}
	}
	r.eachSealed(text, func(field string, values *[]string) {
		if !isSealedList(*values) {
			return
		}
		all := (*values)[0]
		if text(field, &all); !seal.Is(all) {
			*values = nil
			_ = json.Unmarshal([]byte(all), values)
		}
	})
}

func listText[T string | Part](values []T) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic(fmt.Sprintf("marshal strings: %v", err)) // strings always marshal
	}
	return string(b)
}
