package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// Open reads a file, a chunk at a time. What is read of a file that is deleted meanwhile ends with ErrNotFound. Contents
// that are encrypted and cannot be read are a *results.SealedError. The reader is for one goroutine.
func (s *Store) Open(ctx context.Context, f *File) io.ReadSeeker {
	return &reader{ctx: ctx, store: s, file: f, held: -1}
}

type reader struct {
	ctx   context.Context
	store *Store
	file  *File
	at    int64
	held  int // the number of the chunk that is held
	chunk string
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.file.Bytes {
		return 0, io.EOF
	}
	if n := int(r.at / chunkSize); n != r.held {
		if err := r.fetch(n); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.chunk[r.at%chunkSize:])
	r.at += int64(n)
	return n, nil
}

func (r *reader) fetch(n int) error {
	id := r.file.ID
	content, err := r.store.rdb.HGet(r.ctx, rediskey.FileChunks(id), strconv.Itoa(n)).Result()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("%s: %w any more", id, ErrNotFound)
	}
	if err == nil {
		content, err = r.store.keys.Open(id, fieldChunk(n), content)
	}
	if want := min(chunkSize, r.file.Bytes-int64(n)*chunkSize); err == nil && int64(len(content)) != want {
		err = fmt.Errorf("part %d has %d bytes, want %d", n, len(content), want)
	}
	if err != nil {
		return fmt.Errorf("read file %s: %w", id, err)
	}
	r.held, r.chunk = n, content
	return nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.file.Bytes
	}
	if offset < 0 {
		return 0, fmt.Errorf("file %s: seek before its beginning", r.file.ID)
	}
	r.at = offset
	return offset, nil
}
