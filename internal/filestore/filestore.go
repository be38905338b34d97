// Package filestore keeps uploaded files in Redis, so that every process on one Redis sees the same files. It streams them
// in and out: no file is ever whole in memory.
//
// [Store.Upload] takes a file in, [Store.Get] and [Store.List] find files, [Store.Open] reads one. A file belongs to a
// tenant, and only that tenant finds it.
package filestore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
)

// Store keeps files. It is safe for concurrent use. A file is
//
//	cozeq:file:{ID}         hash        what it is; missing until all of it is there
//	cozeq:file:{ID}:chunks  hash        by number from 0: 512 KiB of it, the last one less
//	cozeq:files:{TENANT}    sorted set  ids of the tenant's files, all of score 0: ids sort by the time of their making
//
// An upload writes the chunks (1), puts the id into the set (2) and writes the first hash (3), which makes the file visible
// and gives both hashes its time to live in the same step. A process that dies before 3 leaves chunks that expire within
// uploadTTL, and perhaps an id that List skips, and takes off the set when no upload can be behind it any more.
type Store struct {
	rdb  redis.UniversalClient
	keys *results.Keys
}

// New returns a Store on the Redis of store. If that has keys, contents and names of files are encrypted.
func New(store *results.Store) *Store { return &Store{rdb: store.Redis(), keys: store.Keys} }

// ErrNotFound is returned for a file that is not there: never uploaded, deleted, expired, or another tenant's.
var ErrNotFound = errors.New("no such file")

// chunkSize is what a process holds of a file. Redis is busy with a chunk for about 0.2 ms.
const chunkSize = 512 << 10

// Lives of files.
const (
	DefaultKeep = 30 * 24 * time.Hour
	MinKeep     = time.Hour
	MaxKeep     = 30 * 24 * time.Hour

	uploadTTL = time.Hour      // of chunks since the last one came
	maxUpload = 12 * time.Hour // an upload that takes longer is refused
	staleAge  = 2 * maxUpload  // of an id without a file: no upload is behind it, whatever the clocks say
)

//go:embed *.lua
var files embed.FS

var (
	chunkScript  = redisscript.Script(files, "chunk.lua")
	commitScript = redisscript.Script(files, "commit.lua")
)

// Fields under which contents and names are encrypted: see results.Keys.
const fieldName = "name"

func fieldChunk(n int) string { return "chunk/" + strconv.Itoa(n) }

// File is a file that is wholly there.
type File struct {
	ID        string
	Tenant    string
	Name      string // as its uploader has it; "" if it is encrypted and cannot be read
	Purpose   string
	Bytes     int64
	SHA256    string // in hex
	CreatedAt time.Time
	ExpiresAt time.Time
}

var idPattern = regexp.MustCompile(`^file-[0-9a-f]{32}$`)

// Get returns a file of the tenant, or ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant, id string) (*File, error) {
	if !idPattern.MatchString(id) {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	hash, err := s.rdb.HGetAll(ctx, rediskey.File(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", id, err)
	}
	if len(hash) == 0 || hash["tenant"] != tenant {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return s.parse(id, hash), nil
}

// Delete forgets a file of the tenant, or returns ErrNotFound. Who reads it at that moment gets an error.
func (s *Store) Delete(ctx context.Context, tenant, id string) error {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return err
	}
	// The file first: an id without a file is harmless.
	if err := s.rdb.Unlink(ctx, rediskey.File(id), rediskey.FileChunks(id)).Err(); err != nil {
		return fmt.Errorf("delete file %s: %w", id, err)
	}
	if err := s.rdb.ZRem(ctx, rediskey.Files(tenant), id).Err(); err != nil {
		return fmt.Errorf("delete file %s: %w", id, err)
	}
	return nil
}

func (f *File) fields(keys *results.Keys) []any {
	return []any{
		"tenant", f.Tenant, "name", keys.Seal(f.ID, fieldName, f.Name), "purpose", f.Purpose, "bytes", f.Bytes, "sha256", f.SHA256,
		"created_at", results.At(f.CreatedAt).String(), "expires_at", results.At(f.ExpiresAt).String(),
	}
}

func (s *Store) parse(id string, hash map[string]string) *File {
	f := &File{ID: id, Tenant: hash["tenant"], Purpose: hash["purpose"], SHA256: hash["sha256"]}
	f.Name, _ = s.keys.Open(id, fieldName, hash["name"]) // whoever opens the file is told
	f.Bytes, _ = strconv.ParseInt(hash["bytes"], 10, 64)
	f.CreatedAt, _ = time.Parse(time.RFC3339Nano, hash["created_at"])
	f.ExpiresAt, _ = time.Parse(time.RFC3339Nano, hash["expires_at"])
	return f
}
