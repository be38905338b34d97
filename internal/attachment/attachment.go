// Package attachment uploads the files of questions from this machine to Coze, each content once per credential: the ids are
// in Redis for as long as Coze keeps the files. A worker gets a question with the ids; it need not see the files.
//
// Key: cozeq:upload:{CREDENTIAL}:SHA256.EXT, the id of the file with that content and extension, for 80 days. A process that
// dies between the upload and this note has the file uploaded again by the next one, which costs nothing but a call. Where Redis
// dies with the process, the caller keeps the notes: see [Uploader.Uploaded].
package attachment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// keep is how long an id is used again. It leaves a question nine days of Coze's three months to be asked in.
const keep = coze.FileLife - 9*24*time.Hour

// Concurrency is how many files to upload at a time. Coze takes 10 or 20 a second of an account.
const Concurrency = 8

// transientTries is how often an upload is tried that fails on the way. A refused rate uses up no try.
const transientTries = 4

var pace = backoff.Policy{First: 200 * time.Millisecond, Most: 30 * time.Second, Jitter: 0.5}

// Uploader uploads files with one credential. It is safe for concurrent use.
type Uploader struct {
	Coze  *coze.Client
	Redis redis.UniversalClient

	// Uploaded gets each id that Coze gives, by what Know takes, before it is used. Its error ends the upload. nil: Redis alone
	// remembers it.
	Uploaded func(content, id string) error

	// Count gets the outcome of each upload: uploaded, reused, refused (Coze does not take the file) or failed. nil: nobody counts.
	Count func(outcome string)

	mu      sync.Mutex
	uploads map[string]*uploading // by content: those under way
}

// FileError is about one file: it is not there any more, or Coze does not take it. Any other error of an upload concerns all
// files.
type FileError struct {
	Path string
	Err  error // [*coze.Error] if Coze said so
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// Failure says why a question with the file was not asked.
func (e *FileError) Failure() *results.Failure {
	f := &results.Failure{Class: string(coze.ClassInvalid), Message: e.Error(), Hint: "Correct the file or its path and ask the row again: it was not sent."}
	if told, ok := errors.AsType[*coze.Error](e.Err); ok && told.Code != 0 {
		f.Code, f.Class, f.Message, f.LogID, f.Hint = told.Code, string(told.Class), e.Path+": "+told.Message, told.LogID, told.Hint()
	}
	return f
}

// uploading is an upload that others wait for.
type uploading struct {
	done  chan struct{}
	id    string
	err   error
	ended bool // its caller has given up: that says nothing of the file
}

// Check reports why the file at path cannot be sent, without a call: it is not there, or Coze takes no such file. The error is a
// [*FileError].
func Check(path string) error {
	if _, err := describe(path); err != nil {
		return &FileError{path, err}
	}
	return nil
}

func describe(path string) (*coze.Upload, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	}
	u := &coze.Upload{Name: filepath.Base(path), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	return u, check(u)
}

// check is coze.Upload.Check without the words for a failed call.
func check(u *coze.Upload) error {
	if e, ok := errors.AsType[*coze.Error](u.Check()); ok {
		return errors.New(e.Message)
	}
	return nil
}

// Upload returns the id of the file at path. digest is its Digest, "" if the caller has not read it. An upload of the same
// content that is under way is shared. Where Coze refuses the rate, it waits and goes on. Errors are a [*FileError], a
// [*coze.Error] that concerns all files, the context's cause or Redis'.
func (u *Uploader) Upload(ctx context.Context, path, digest string) (id string, err error) {
	file, err := describe(path)
	if err != nil {
		return "", &FileError{path, err}
	}
	return u.upload(ctx, path, digest, file)
}

// UploadContent is Upload for content that is in memory. name has its extension.
func (u *Uploader) UploadContent(ctx context.Context, name string, content []byte) (id string, err error) {
	file := &coze.Upload{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
	if err := check(file); err != nil {
		return "", &FileError{name, err}
	}
	return u.upload(ctx, name, "", file)
}

func (u *Uploader) upload(ctx context.Context, path, sum string, file *coze.Upload) (string, error) {
	if sum == "" {
		var err error
		if sum, err = digest(path, file.Open); err != nil {
			return "", err
		}
	}
	id, sent, err := u.once(ctx, file, sum+strings.ToLower(filepath.Ext(path)))
	if ctx.Err() != nil {
		return id, err // it says nothing of the file
	}
	e, ok := errors.AsType[*coze.Error](err)
	ofFile := ok && !e.Unreached && pause.Scope(e) == ""
	if u.Count != nil {
		u.Count(outcome(sent, err, ofFile && e.Code != 0))
	}
	if ofFile {
		return "", &FileError{path, err}
	}
	return id, err
}

func outcome(sent bool, err error, refused bool) string {
	switch {
	case refused:
		return "refused"
	case err != nil:
		return "failed"
	case sent:
		return "uploaded"
	}
	return "reused"
}

// Know takes up a file that an earlier process has uploaded.
func (u *Uploader) Know(ctx context.Context, content, id string, at time.Time) error {
	left := keep - time.Since(at)
	if left <= 0 {
		return nil
	}
	return u.Redis.Set(ctx, rediskey.Upload(content), id, left).Err()
}

// once shares what is under way.
func (u *Uploader) once(ctx context.Context, file *coze.Upload, sum string) (id string, sent bool, err error) {
	u.mu.Lock()
	for other := u.uploads[sum]; other != nil; other = u.uploads[sum] {
		u.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return "", false, context.Cause(ctx)
		}
		if !other.ended {
			return other.id, false, other.err
		}
		u.mu.Lock()
	}
	if u.uploads == nil {
		u.uploads = make(map[string]*uploading)
	}
	own := &uploading{done: make(chan struct{})}
	u.uploads[sum] = own
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.uploads, sum)
		u.mu.Unlock()
		own.id, own.err, own.ended = id, err, err != nil && ctx.Err() != nil
		close(own.done)
	}()
	return u.remembered(ctx, file, sum)
}

// remembered uploads a file unless its content was uploaded before.
func (u *Uploader) remembered(ctx context.Context, file *coze.Upload, sum string) (id string, sent bool, err error) {
	credential, err := u.Coze.Identity(ctx)
	if err != nil {
		return "", false, err
	}
	content := "{" + credential + "}:" + sum
	id, err = u.Redis.Get(ctx, rediskey.Upload(content)).Result()
	if err == nil || !errors.Is(err, redis.Nil) {
		return id, false, err
	}
	id, err = u.send(ctx, credential, file)
	if err == nil && u.Uploaded != nil {
		err = u.Uploaded(content, id)
	}
	if err != nil {
		return "", false, err
	}
	return id, true, u.Redis.Set(ctx, rediskey.Upload(content), id, keep).Err()
}

// send uploads a file. Each try takes a permit, so that all processes together keep to Coze's rate.
func (u *Uploader) send(ctx context.Context, credential string, file *coze.Upload) (string, error) {
	limiter := ratelimit.Limiter{Redis: u.Redis}
	for waits, failed := pace.Start(), 0; ; {
		permit, err := limiter.Take(ctx, ratelimit.ForLookup, credential, ratelimit.Uploads)
		if err != nil {
			return "", err
		}
		got, err := u.Coze.UploadFile(ctx, file)
		if err == nil {
			return got.ID, nil
		}
		e, ok := errors.AsType[*coze.Error](err)
		switch {
		case ok && e.Class == coze.ClassRate:
			err = limiter.Refused(ctx, permit, credential, ratelimit.Uploads, e)
		case ok && e.Class == coze.ClassTransient && failed < transientTries-1:
			failed++
			err = nil
		}
		if err == nil {
			err = waits.Sleep(ctx, e.RetryAfter)
		}
		if err != nil {
			return "", err
		}
	}
}

// Digest is the SHA-256 of a file's content, in hex. The error is a [*FileError].
func Digest(path string) (string, error) {
	return digest(path, func() (io.ReadCloser, error) { return os.Open(path) })
}

func digest(path string, open func() (io.ReadCloser, error)) (string, error) {
	f, err := open()
	if err != nil {
		return "", &FileError{path, withoutPath(err)}
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", &FileError{path, withoutPath(err)}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// withoutPath is an error of package os without the path, which FileError has.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
