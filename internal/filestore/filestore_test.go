package filestore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/redis/go-redis/v9"
)

const megabyte = 1 << 20

func keysOf(t *testing.T) *results.Keys {
	t.Helper()
	keys, err := results.ParseKeys([]byte("k1:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newStore(rdb redis.UniversalClient, keys *results.Keys) *filestore.Store {
	store := results.NewStore(rdb)
	store.Keys = keys
	return filestore.New(store)
}

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

func put(t *testing.T, s *filestore.Store, tenant, name string, data []byte) *filestore.File {
	t.Helper()
	u := s.Upload(t.Context(), tenant, 200*megabyte)
	defer u.Abort()
	// In pieces that end nowhere near a chunk's end.
	for piece := range bytes.Lines(data) {
		if _, err := u.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	f, err := u.Commit(name, "batch", 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUploadAndRead(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, keys := range []*results.Keys{nil, keysOf(t)} {
			s := newStore(rdb, keys)
			for _, n := range []int{0, 1, 512<<10 - 1, 512 << 10, 512<<10 + 1, 2*megabyte + 77} {
				data := content(n)
				made := put(t, s, "a", "问题.jsonl", data)
				f, err := newStore(rdb, keys).Get(t.Context(), "a", made.ID) // another process
				if err != nil {
					t.Fatal(err)
				}
				if f.Bytes != int64(n) || f.Name != "问题.jsonl" || f.Purpose != "batch" || f.SHA256 != made.SHA256 {
					t.Errorf("%d bytes: got %+v", n, f)
				}
				if life := f.ExpiresAt.Sub(f.CreatedAt); life != filestore.DefaultKeep {
					t.Errorf("kept for %v", life)
				}
				got, err := io.ReadAll(s.Open(t.Context(), f))
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes: read %d, %v", n, len(got), err)
				}
			}
		}
	})
}

func TestEncrypted(t *testing.T) {
	rdb := redistest.Embedded(t)
	text := strings.Repeat("what nobody may read\n", 1000)
	f := put(t, newStore(rdb, keysOf(t)), "", "secret-name.jsonl", []byte(text))
	for _, key := range redistest.Keys(t, rdb, "cozeq:file*") {
		if rdb.Type(t.Context(), key).Val() != "hash" {
			continue
		}
		all := fmt.Sprint(rdb.HGetAll(t.Context(), key).Val())
		if strings.Contains(all, "nobody") || strings.Contains(all, "secret-name") {
			t.Errorf("%s: %.100s", key, all)
		}
	}
	blind := newStore(rdb, nil)
	seen, err := blind.Get(t.Context(), "", f.ID)
	if err != nil || seen.Name != "" {
		t.Fatalf("%+v, %v", seen, err)
	}
	_, err = io.ReadAll(blind.Open(t.Context(), seen))
	if _, sealed := errors.AsType[*results.SealedError](err); !sealed {
		t.Errorf("read without the key: %v", err)
	}
}

// http.ServeContent finds ranges with Seek.
func TestRange(t *testing.T) {
	rdb := redistest.Embedded(t)
	s := newStore(rdb, nil)
	data := content(megabyte + 5)
	f := put(t, s, "", "x", data)
	for _, c := range []struct{ from, to int }{{0, 9}, {512<<10 - 3, 512<<10 + 3}, {megabyte, megabyte + 4}} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", c.from, c.to))
		rec := httptest.NewRecorder()
		http.ServeContent(rec, req, "x", f.CreatedAt, s.Open(t.Context(), f))
		if rec.Code != http.StatusPartialContent || !bytes.Equal(rec.Body.Bytes(), data[c.from:c.to+1]) {
			t.Errorf("bytes %d to %d: status %d, %d bytes", c.from, c.to, rec.Code, rec.Body.Len())
		}
	}
}

func TestListPages(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(rdb, nil)
		var ids []string
		for i := range 7 {
			ids = append(ids, put(t, s, "a", fmt.Sprint(i), []byte("x")).ID)
		}
		other := put(t, s, "b", "other", []byte("x"))
		list := func(p filestore.Page) (got []string, more bool) {
			t.Helper()
			files, more, err := s.List(t.Context(), "a", p)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				got = append(got, f.ID)
			}
			return got, more
		}
		want := func(got []string, more bool, wantMore bool, want ...string) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) || more != wantMore {
				t.Errorf("got %v, more %v; want %v, more %v", got, more, want, wantMore)
			}
		}
		got, more := list(filestore.Page{Limit: 3})
		want(got, more, true, ids[6], ids[5], ids[4])
		// The cursor goes, and so does the file behind it.
		for _, id := range []string{ids[4], ids[3]} {
			if err := s.Delete(t.Context(), "a", id); err != nil {
				t.Fatal(err)
			}
		}
		got, more = list(filestore.Page{Limit: 3, After: ids[4]})
		want(got, more, false, ids[2], ids[1], ids[0])
		got, more = list(filestore.Page{Limit: 2, Ascending: true, After: ids[0]})
		want(got, more, true, ids[1], ids[2])
		got, more = list(filestore.Page{Limit: 9, Purpose: "vision"})
		want(got, more, false)

		if _, err := s.Get(t.Context(), "a", other.ID); !errors.Is(err, filestore.ErrNotFound) {
			t.Errorf("another tenant's file: %v", err)
		}
		if err := s.Delete(t.Context(), "a", other.ID); !errors.Is(err, filestore.ErrNotFound) {
			t.Errorf("delete another tenant's file: %v", err)
		}
		for _, id := range []string{"", "file-1", ids[3], "file-" + strings.Repeat("}", 32)} {
			if _, err := s.Get(t.Context(), "a", id); !errors.Is(err, filestore.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	rdb := redistest.Embedded(t)
	s := newStore(rdb, nil)
	u := s.Upload(t.Context(), "", megabyte)
	_, err := io.Copy(u, bytes.NewReader(content(megabyte+1)))
	large, ok := errors.AsType[*filestore.TooLargeError](err)
	if !ok || large.Limit != megabyte {
		t.Fatalf("got %v", err)
	}
	if _, err := u.Commit("x", "batch", 0); !errors.Is(err, large) {
		t.Errorf("commit: %v", err)
	}
	u.Abort()
	if keys := redistest.Keys(t, rdb, "*"); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

// A client that hangs up ends the context; what it had sent goes at once.
func TestCutUpload(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(rdb, nil)
		ctx, hangUp := context.WithCancel(t.Context())
		u := s.Upload(ctx, "", 200*megabyte)
		if _, err := u.Write(content(megabyte)); err != nil {
			t.Fatal(err)
		}
		hangUp()
		if _, err := u.Write(content(megabyte)); !errors.Is(err, context.Canceled) {
			t.Errorf("write: %v", err)
		}
		u.Abort()
		if keys := redistest.Keys(t, rdb, "cozeq:file*"); len(keys) != 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

// The chunks of an upload that stood still are gone at its end.
func TestLapsedUpload(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(rdb, nil)
		u := s.Upload(t.Context(), "", 200*megabyte)
		if _, err := u.Write(content(megabyte)); err != nil {
			t.Fatal(err)
		}
		for _, key := range redistest.Keys(t, rdb, "cozeq:file*") {
			rdb.Del(t.Context(), key)
		}
		if _, err := u.Commit("x", "batch", 0); !errors.Is(err, filestore.ErrLapsed) {
			t.Errorf("commit: %v", err)
		}
		if files, _, err := s.List(t.Context(), "", filestore.Page{Limit: 9}); len(files) != 0 || err != nil {
			t.Errorf("listed: %v, %v", files, err)
		}
	})
}

func TestDeletedWhileRead(t *testing.T) {
	rdb := redistest.Embedded(t)
	s := newStore(rdb, nil)
	f := put(t, s, "", "x", content(megabyte))
	r := s.Open(t.Context(), f)
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "", f.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, filestore.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// An upload dies at each of its calls to Redis. Either the whole file is there, or nobody sees any of it; and whatever is
// left has a time to live, but for the set of ids.
func TestUploadDies(t *testing.T) {
	data := content(megabyte + 1)
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		rdb := l.Store.Redis()
		var made *filestore.File
		hit, err := tasktest.FaultyOn(t, rdb, n, what, func(rdb redis.UniversalClient) error {
			u := newStore(rdb, nil).Upload(t.Context(), "", 200*megabyte)
			if _, err := u.Write(data); err != nil {
				return err
			}
			f, err := u.Commit("x", "batch", 0)
			made = f
			return err
		})
		if !hit {
			return false
		}
		s := newStore(rdb, nil)
		files, _, listed := s.List(t.Context(), "", filestore.Page{Limit: 9})
		if listed != nil || err == nil && len(files) != 1 {
			t.Fatalf("%d files, %v; the upload: %v", len(files), listed, err)
		}
		if err == nil && files[0].ID != made.ID {
			t.Errorf("listed %s, made %s", files[0].ID, made.ID)
		}
		for _, f := range files {
			got, err := io.ReadAll(s.Open(t.Context(), f))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", f.ID, len(got), err)
			}
		}
		for _, key := range redistest.Keys(t, rdb, "cozeq:file:*") {
			ttl := rdb.TTL(t.Context(), key).Val()
			if ttl <= 0 || len(files) == 0 && ttl > time.Hour {
				t.Errorf("%s is kept for %v", key, ttl)
			}
		}
		return true
	})
}
