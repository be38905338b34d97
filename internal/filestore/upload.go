package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// ErrLapsed is returned by Commit for an upload that took so long that its beginning is gone.
var ErrLapsed = errors.New("the upload took too long and has lapsed: upload the file again")

// TooLargeError says that a file is longer than it may be.
type TooLargeError struct {
	Limit int64 // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the file is larger than %d MB: split it", e.Limit/1e6)
}

// Upload is a file that is being uploaded. Nobody sees it before Commit. It is for one goroutine.
type Upload struct {
	ctx    context.Context
	store  *Store
	file   File
	limit  int64
	buffer []byte
	chunks int
	sum    hash.Hash
	err    error // the first one; it stays
}

// Upload begins an upload of a tenant's file of at most limit bytes. All of it ends with ctx.
func (s *Store) Upload(ctx context.Context, tenant string, limit int64) *Upload {
	u := &Upload{ctx: ctx, store: s, limit: limit, sum: sha256.New(), file: File{Tenant: tenant, CreatedAt: time.Now()}}
	id, err := uuid.NewV7()
	if err != nil {
		u.err = fmt.Errorf("make an id: %w", err)
	}
	u.file.ID = idOf(id)
	return u
}

func idOf(id uuid.UUID) string { return "file-" + strings.ReplaceAll(id.String(), "-", "") }

// Write takes the next bytes. A file that is too large is a *TooLargeError.
func (u *Upload) Write(p []byte) (n int, err error) {
	for n < len(p) && u.err == nil {
		if u.buffer == nil {
			u.buffer = make([]byte, 0, chunkSize)
		}
		part := p[n:min(len(p), n+chunkSize-len(u.buffer))]
		if u.file.Bytes+int64(len(part)) > u.limit {
			u.err = &TooLargeError{Limit: u.limit}
			break
		}
		u.buffer = append(u.buffer, part...)
		u.file.Bytes += int64(len(part))
		n += len(part)
		if len(u.buffer) == chunkSize {
			u.flush()
		}
	}
	return n, u.err
}

func (u *Upload) flush() {
	if len(u.buffer) == 0 || u.err != nil {
		return
	}
	u.sum.Write(u.buffer)
	content := u.store.keys.Seal(u.file.ID, fieldChunk(u.chunks), string(u.buffer))
	err := chunkScript.Run(u.ctx, u.store.rdb, []string{rediskey.FileChunks(u.file.ID)}, u.chunks, content, int(uploadTTL.Seconds())).Err()
	if err != nil {
		u.err = fmt.Errorf("keep a part of file %s: %w", u.file.ID, err)
		return
	}
	u.chunks++
	u.buffer = u.buffer[:0]
}

// Commit ends the upload and makes the file visible. It is kept for keep; 0 = DefaultKeep.
func (u *Upload) Commit(name, purpose string, keep time.Duration) (*File, error) {
	if u.flush(); u.err != nil {
		return nil, u.err
	}
	if keep == 0 {
		keep = DefaultKeep
	}
	f := &u.file
	f.Name, f.Purpose, f.SHA256, f.ExpiresAt = name, purpose, hex.EncodeToString(u.sum.Sum(nil)), f.CreatedAt.Add(keep)
	left := time.Until(f.ExpiresAt)
	if time.Since(f.CreatedAt) > maxUpload || left < time.Second {
		return nil, ErrLapsed
	}
	index, ctx := rediskey.Files(f.Tenant), u.ctx
	_, err := u.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, index, redis.Z{Member: f.ID})
		// Ids of files that have expired by now, so that a set that nobody lists does not grow for ever.
		p.ZRemRangeByLex(ctx, index, "-", "("+idAt(time.Now().Add(-MaxKeep-staleAge)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list file %s: %w", f.ID, err)
	}
	args := append([]any{u.chunks, int(left.Seconds())}, f.fields(u.store.keys)...)
	n, err := commitScript.Run(ctx, u.store.rdb, []string{rediskey.File(f.ID), rediskey.FileChunks(f.ID)}, args...).Int()
	switch {
	case err != nil:
		return nil, fmt.Errorf("keep file %s: %w", f.ID, err)
	case n == 0:
		return nil, ErrLapsed
	}
	return f, nil
}

// Abort forgets what was uploaded. After Commit it does nothing. It does not need the context of the upload, which has ended
// if the uploader hung up. What it fails to delete expires.
func (u *Upload) Abort() {
	if u.chunks == 0 || !u.file.ExpiresAt.IsZero() {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(u.ctx), time.Second)
	defer stop()
	_ = u.store.rdb.Unlink(ctx, rediskey.FileChunks(u.file.ID)).Err()
}

// idAt is an id in front of all that were made at that time or later.
func idAt(at time.Time) string {
	var id uuid.UUID
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return idOf(id)
}
