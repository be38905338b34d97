package results

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// digestSize is how many bytes of a digest are kept. By chance two of 2^32 texts have the same with a probability of 2^-64.
const digestSize = 16

// macKey makes the key of digests from one that encrypts, so that none is used for two purposes.
func macKey(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("cozeq digest"))
	return mac.Sum(nil)
}

// Digests tell whether two texts are equal and, without the keys, show neither. The first is made with the key that
// encrypts, and is the one to keep. The others are made with the other keys, so that what was kept before a change of keys
// is still recognised. Without keys there is one, a plain SHA-256: who can guess the text can confirm it.
func (k *Keys) Digests(text []byte) []string {
	if k == nil {
		sum := sha256.Sum256(text)
		return []string{base64.RawURLEncoding.EncodeToString(sum[:digestSize])}
	}
	digests := make([]string, len(k.ids))
	for i, id := range k.ids {
		mac := hmac.New(sha256.New, k.macs[id])
		mac.Write(text)
		digests[i] = base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:digestSize])
	}
	return digests
}
