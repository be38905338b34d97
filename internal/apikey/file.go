package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/textfile"
)

// ErrUnknown is returned for a token that is no key.
var ErrUnknown = errors.New("no such API key")

// ErrExpired is returned for a key whose time is over. The error is an *ExpiredError.
var ErrExpired = errors.New("the API key has expired")

// ExpiredError says which key has expired, and when.
type ExpiredError struct {
	Key string // its name
	At  time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("the API key %s has expired at %s", e.Key, e.At.UTC().Format(time.RFC3339))
}

func (e *ExpiredError) Unwrap() error { return ErrExpired }

// checkEvery is the time between two looks at the file, as with a token's file: one stat a second costs nothing.
const checkEvery = time.Second

// File is the keys of a file, which is read again when its modification time, size or identity changes. A new version that
// is wrong is logged, and the keys stay what they were. A File is safe for concurrent use.
type File struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	keys    map[digest]*Key
	info    os.FileInfo // of the version that was read last, wrong or not
	checked time.Time
}

type digest [sha256.Size]byte

// Load reads the keys of a file. Later versions that are wrong are logged to log.
func Load(path string, log *slog.Logger) (*File, error) {
	f := &File{path: path, log: log}
	if err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Lookup returns the key that a bearer token is. The error is ErrUnknown or an *ExpiredError.
//
// A map by digest is safe against measuring: who tries tokens does not choose their digests, so how far a comparison of
// digests comes tells nothing about the token that would be right.
func (f *File) Lookup(token string) (*Key, error) {
	key := f.current()[sha256.Sum256([]byte(token))]
	switch {
	case key == nil || token == "":
		return nil, ErrUnknown
	case !key.Expires.IsZero() && !time.Now().Before(key.Expires):
		return nil, &ExpiredError{Key: key.Name, At: key.Expires}
	}
	return key, nil
}

// Keys are the keys by name, expired ones included.
func (f *File) Keys() []*Key {
	all := slices.SortedFunc(maps.Values(f.current()), func(a, b *Key) int { return strings.Compare(a.Name, b.Name) })
	return slices.Compact(all) // one of several hashes
}

// current is the keys of the newest version that is right.
func (f *File) current() map[digest]*Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) >= checkEvery {
		if err := f.read(); err != nil {
			f.log.LogAttrs(context.Background(), slog.LevelWarn, "the API keys are those of an earlier version: the file is wrong", slog.Any("error", err))
		}
	}
	return f.keys
}

// read reads the file if it has changed. A version is reported once.
func (f *File) read() error {
	f.checked = time.Now()
	info, err := os.Stat(f.path)
	if err != nil {
		gone := f.info == nil && f.keys != nil
		f.info = nil
		if gone {
			return nil // reported already
		}
		return err
	}
	if f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()) {
		return nil
	}
	f.info = info
	if mode := info.Mode().Perm(); mode&0o002 != 0 && runtime.GOOS != "windows" { // where permissions are no bits
		return fmt.Errorf("%s: everybody on this machine may write it (%v): chmod o-w %s", f.path, mode, f.path)
	}
	text, err := textfile.Read(f.path)
	if err != nil {
		return err
	}
	keys, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.keys = keys
	return nil
}
