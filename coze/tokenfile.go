package coze

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/textfile"
)

// tokenFileCheck is the time between two looks at the file: one stat a second costs nothing, one a request does.
const tokenFileCheck = time.Second

// TokenFile is a TokenSource over a file that holds a token and white space, as UTF-8 or, with a byte order mark, UTF-16.
// It reads the file again when its modification time, size or identity changes, so a token rotated by rewriting or
// renaming takes effect within a second. While the file is missing, unreadable or empty, the last good token stays.
type TokenFile struct {
	path string

	mu      sync.Mutex
	token   string
	info    os.FileInfo // of the file that token was read from; nil = never read
	checked time.Time
}

// NewTokenFile does not read the file; the first call of Token does.
func NewTokenFile(path string) *TokenFile { return &TokenFile{path: path} }

// Token returns the file's token. It fails only if no token was ever read.
func (f *TokenFile) Token(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.info == nil || now.Sub(f.checked) >= tokenFileCheck {
		f.checked = now
		if err := f.read(false); err != nil && f.token == "" {
			return "", err
		}
	}
	return f.token, nil
}

// Refresh reads the file now, unless the token is already another one than rejected. After an error the last good token
// stays.
func (f *TokenFile) Refresh(ctx context.Context, rejected string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.token != "" && f.token != rejected {
		return nil
	}
	f.checked = time.Now()
	return f.read(true)
}

// String hides the token.
func (f *TokenFile) String() string { return "coze.TokenFile(" + f.path + ")" }

// GoString hides the token from %#v.
func (f *TokenFile) GoString() string { return f.String() }

func (f *TokenFile) read(force bool) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if !force && f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() &&
		info.ModTime().Equal(f.info.ModTime()) {
		return nil
	}
	content, err := textfile.Read(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return fmt.Errorf("token file %s: %w", f.path, errNoToken)
	}
	f.token, f.info = token, info
	return nil
}

var _ Refresher = (*TokenFile)(nil)

var errNoToken = errors.New("no token in it")
