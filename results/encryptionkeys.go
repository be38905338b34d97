package results

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/internal/textfile"
)

// keySize is the length of a key in bytes: AES-256.
const keySize = 32

// maxKeyFile bounds what is read of a file of keys: a thousand of them.
const maxKeyFile = 64 << 10

// Keys encrypt what people wrote and what bots said before it goes to Redis, and
// decrypt it again. The first key encrypts, all decrypt. Keys are safe for concurrent
// use and never print themselves; nil stands for no encryption. Make them with
// [LoadKeys] or [ParseKeys].
type Keys struct {
	ids   []string // in the order of the file
	aeads map[string]cipher.AEAD
	macs  map[string][]byte // keys of digests, made from the others
}

// LoadKeys reads keys from a file, as [ParseKeys] has it. One that people other than
// its owner and group can read or write is refused.
func LoadKeys(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory, want a file of keys", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 && runtime.GOOS != "windows" { // where permissions are no bits
		return nil, fmt.Errorf("%s: everybody on this machine may read or write it (%v): chmod o= %s, and make a new key if others were there", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	keys, err := decodeKeys(text)
	clear(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func decodeKeys(raw []byte) (*Keys, error) {
	text, err := textfile.Decode(raw)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return ParseKeys(text)
}

// ParseKeys reads keys, one a line as ID:BASE64, the base64 that of 32 random bytes. An
// id has 1 to 32 letters, digits or any of . _ -. Empty lines and lines that begin with
// # are passed over. Errors name lines, never what is in them.
func ParseKeys(text []byte) (*Keys, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("over %d bytes: that is no file of keys", maxKeyFile)
	}
	k := &Keys{aeads: make(map[string]cipher.AEAD), macs: make(map[string][]byte)}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := k.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(k.ids) == 0 {
		return nil, errors.New("no key in it: want a line ID:BASE64")
	}
	return k, nil
}

func (k *Keys) add(line []byte) error {
	id, encoded, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return errors.New("not a key, want ID:BASE64")
	}
	if !seal.IsKeyID(string(id)) {
		return errors.New("the key's id, before the colon, is not 1 to 32 letters, digits or any of . _ -")
	}
	key := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	size, err := base64.StdEncoding.Decode(key, encoded)
	defer clear(key)
	if err != nil {
		return fmt.Errorf("key %s is not base64", id)
	}
	if size != keySize {
		return fmt.Errorf("key %s has %d bytes, want %d: make one with openssl rand -base64 %d", id, size, keySize, keySize)
	}
	if k.aeads[string(id)] != nil {
		return fmt.Errorf("key %s is repeated", id)
	}
	block, err := aes.NewCipher(key[:size])
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	k.ids = append(k.ids, string(id))
	k.aeads[string(id)] = aead
	k.macs[string(id)] = macKey(key[:size])
	return nil
}

// ID names the key that encrypts; "" for no encryption.
func (k *Keys) ID() string {
	if k == nil {
		return ""
	}
	return k.ids[0]
}

// IDs name all keys, the one that encrypts first.
func (k *Keys) IDs() []string {
	if k == nil {
		return nil
	}
	return slices.Clone(k.ids)
}

// String names the keys and shows none.
func (k *Keys) String() string { return "keys " + strings.Join(k.IDs(), ", ") }

// GoString is String: no verb of package fmt shows a key.
func (k *Keys) GoString() string { return k.String() }

// Format writes String, whatever the verb.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
