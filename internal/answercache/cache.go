// Package answercache keeps answers to questions that were asked before, in a directory that several processes may share, and
// beside them the rates at which they were asked.
package answercache

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Cache is a directory of answers. Several processes may use it at a time: an answer is one file, which appears as a whole,
// and a file that is damaged counts as missing.
//
// Two questions are the same if bot, messages, custom_variables, parameters and extra_params are equal to the letter. The
// user does not matter. Questions of a conversation are never cached: their answers depend on earlier turns.
type Cache struct {
	dir    string
	origin string
	ttl    time.Duration

	mu     sync.Mutex
	failed error // the first answer that could not be written
}

// version is that of keys and files.
const version = 1

// tagFile marks a directory as a cache, for backup programs too, and begins with signature: see bford.info/cachedir. It
// keeps us from writing into a directory that is something else.
const (
	tagFile   = "CACHEDIR.TAG"
	signature = "Signature: 8a477f597d28d172789f06886806bc55\n"
	tagText   = signature + "# Answers of Coze, kept by cozeq run --cache. The directory may be deleted at any time.\n"
)

// temporary is the subdirectory in which files are written before they are renamed.
const temporary = "tmp"

// staleAfter is the age from which a file there is one that a killed process has left.
const staleAfter = time.Hour

// Open opens the cache in a directory and creates it if it does not exist. origin is where questions are sent, as one bot id
// may be two bots at two places. Answers older than ttl are not returned, 0 = they never expire. A directory with other
// files is a *usage.Error.
func Open(dir, origin string, ttl time.Duration) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	c := &Cache{dir: dir, origin: origin, ttl: ttl}
	if err := c.claim(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, temporary), 0o777); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	c.sweep()
	// Better to fail before anything is paid for.
	if err := c.place(filepath.Join(dir, tagFile), []byte(tagText), 0o666); err != nil {
		return nil, fmt.Errorf("write into the cache: %w", err)
	}
	return c, nil
}

// claim checks that the directory is a cache, or empty.
//
// Several processes may create the same cache at once. Each writes its tag before any answer. So the directory is listed
// first and the tag read after that: then any cache file in the list has its tag. The other way round, a tag written between
// the two steps would be a file in a directory without a tag.
func (c *Cache) claim() error {
	there, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	tag, err := os.ReadFile(filepath.Join(c.dir, tagFile))
	if err == nil && bytes.HasPrefix(tag, []byte(signature)) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the cache: %w", err)
	}
	for _, e := range there {
		if e.Name() != temporary { // of a process that creates it at this moment
			return &usage.Error{What: fmt.Sprintf("%s is not empty, and no cache", c.dir), Hint: "name a new directory for it"}
		}
	}
	return nil
}

// sweep removes files that killed processes have left.
func (c *Cache) sweep() {
	left, _ := os.ReadDir(filepath.Join(c.dir, temporary))
	for _, e := range left {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(c.dir, temporary, e.Name()))
		}
	}
}

// question is what two questions must have in common to be the same; a key is a hash over it.
type question struct {
	Version         int               `json:"version"`
	Origin          string            `json:"origin"`
	BotID           string            `json:"bot_id"`
	Workflow        []string          `json:"workflow,omitempty"` // its id, app, version and channel
	Messages        []tasks.Message   `json:"messages"`
	CustomVariables map[string]string `json:"custom_variables,omitempty"`
	Parameters      map[string]any    `json:"parameters,omitempty"`
	ExtraParams     map[string]string `json:"extra_params,omitempty"`
}

// Key is the key of a question; "" for one that is never cached.
func (c *Cache) Key(chat *tasks.Chat) string {
	if chat.Lane() != "" || chat.Resume != nil || len(chat.Ext) > 0 {
		return ""
	}
	q := question{
		Version: version, Origin: c.origin, BotID: chat.BotID, Messages: chat.AdditionalMessages,
		CustomVariables: chat.CustomVariables, ExtraParams: chat.ExtraParams,
	}
	if chat.WorkflowID != "" {
		q.Workflow = []string{chat.WorkflowID, chat.AppID, chat.WorkflowVersion, chat.ConnectorID}
	}
	for name, raw := range chat.Parameters {
		if q.Parameters == nil {
			q.Parameters = make(map[string]any)
		}
		// Decoded and encoded again: spaces and the order of keys do not matter.
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var value any
		if dec.Decode(&value) != nil {
			return ""
		}
		q.Parameters[name] = value
	}
	raw, err := json.Marshal(q)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// path is the file of an answer, in one of 65,536 directories, so that none has too many files.
func (c *Cache) path(key string) string {
	return filepath.Join(c.dir, key[:2], key[2:4], key[4:]+".json")
}

// heading is the first line of a file; the record is the second.
type heading struct {
	Cozeq   string `json:"cozeq"`
	Version int    `json:"version"`
	Key     string `json:"key"`
	SHA256  string `json:"sha256"` // of the record
}

const kind = "answer"

// Cacheable reports whether a record is an answer that the cache keeps.
func Cacheable(r *results.Result) bool {
	return r.Status == results.Completed && r.Answer != "" && r.AsksBack == ""
}

// Get returns an answer; nil if there is none, or if it is damaged or too old.
func (c *Cache) Get(key string) *results.Result {
	raw, err := os.ReadFile(c.path(key))
	if err != nil {
		return nil
	}
	first, record, _ := bytes.Cut(raw, []byte("\n"))
	var head heading
	sum := sha256.Sum256(record)
	if json.Unmarshal(first, &head) != nil || head.Cozeq != kind || head.Version != version ||
		head.Key != key || head.SHA256 != hex.EncodeToString(sum[:]) {
		return nil
	}
	res := new(results.Result)
	if json.Unmarshal(record, res) != nil || !Cacheable(res) {
		return nil
	}
	if c.ttl > 0 && time.Since(res.CompletedAt.Time) > c.ttl {
		return nil
	}
	return res
}

// Put stores an answer. See Err for failures.
func (c *Cache) Put(key string, res *results.Result) {
	record, err := (&results.Result{
		Status: res.Status, Answer: res.Answer, ContentType: res.ContentType, Parts: res.Parts, Reasoning: res.Reasoning, FollowUps: res.FollowUps, Usage: res.Usage,
		BotID: res.BotID, ConversationID: res.ConversationID, ChatID: res.ChatID, CompletedAt: res.CompletedAt,
	}).Encode()
	if err == nil {
		sum := sha256.Sum256(record)
		var head []byte
		head, err = json.Marshal(heading{Cozeq: kind, Version: version, Key: key, SHA256: hex.EncodeToString(sum[:])})
		if err == nil {
			err = c.place(c.path(key), append(append(head, '\n'), record...), 0o666)
		}
	}
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = fmt.Errorf("write into the cache: %w", err)
	}
}

// Err is the first failure to store an answer; nil = all are stored.
func (c *Cache) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// place writes a file that appears as a whole. It is not synced: what a loss of power takes is asked again.
func (c *Cache) place(path string, content []byte, mode fs.FileMode) error {
	name := filepath.Join(c.dir, temporary, strings.ToLower(rand.Text()))
	if err := os.WriteFile(name, content, mode); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(name)))
	}
	err := os.Rename(name, path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o777); err == nil {
			err = os.Rename(name, path)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Size is how large a cache is.
type Size struct {
	Dir     string
	Answers int
	Bytes   int64
	More    bool // the count was cut short
}

// Size counts the answers, until ctx ends.
func (c *Cache) Size(ctx context.Context) Size {
	s := Size{Dir: c.dir}
	err := filepath.WalkDir(c.dir, func(_ string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return nil // gone meanwhile, or not ours to read
		case e.IsDir() && e.Name() == temporary:
			return fs.SkipDir
		case e.IsDir() || filepath.Ext(e.Name()) != ".json":
			return nil
		}
		if info, err := e.Info(); err == nil {
			s.Answers++
			s.Bytes += info.Size()
		}
		return nil
	})
	s.More = err != nil
	return s
}
