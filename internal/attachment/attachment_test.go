package attachment_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOnce: one content is uploaded once, by however many at the same time and later; with another extension, or by another
// account, it is another file.
func TestOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		srv := cozetest.New(t)
		var mu sync.Mutex
		counts := make(map[string]int)
		u := &attachment.Uploader{Coze: srv.Client(), Redis: rdb, Count: func(outcome string) {
			mu.Lock()
			defer mu.Unlock()
			counts[outcome]++
		}}
		ids := make([]string, 20)
		var uploads sync.WaitGroup
		for i := range ids {
			path := write(t, fmt.Sprintf("%d.PDF", i), "%PDF-1.7")
			uploads.Go(func() {
				var err error
				if ids[i], err = u.Upload(t.Context(), path, ""); err != nil {
					t.Error(err)
				}
			})
		}
		uploads.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Errorf("ids %q", ids)
			}
		}
		if n := srv.Calls("/v1/files/upload"); n != 1 {
			t.Errorf("%d uploads, want 1", n)
		}
		if len(counts) != 2 || counts["uploaded"] != 1 || counts["reused"] != len(ids)-1 {
			t.Errorf("counted %v", counts)
		}
		for _, key := range redistest.Keys(t, rdb, "cozeq:upload:*") {
			if ttl := rdb.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > coze.FileLife {
				t.Errorf("%s is kept for %v", key, ttl)
			}
		}
		if id, err := u.Upload(t.Context(), write(t, "a.doc", "%PDF-1.7"), ""); err != nil || id == ids[0] {
			t.Errorf("another extension: %q, %v", id, err)
		}
		other := &attachment.Uploader{Coze: srv.Client(), Redis: rdb}
		other.Coze.Auth = coze.StaticToken("another")
		if id, err := other.Upload(t.Context(), write(t, "a.pdf", "%PDF-1.7"), ""); err != nil || id == ids[0] {
			t.Errorf("another account: %q, %v", id, err)
		}
	})
}

// TestRefusals: what is wrong with one file is told apart from what concerns all.
func TestRefusals(t *testing.T) {
	rdb := redistest.Embedded(t)
	good := write(t, "a.png", "GIF89a")
	for name, tt := range map[string]struct {
		path  string
		fault cozetest.Fault
		file  bool // the error is the file's
		calls int
		count string // the outcome; "": it did not come to an upload
	}{
		"gone":         {path: "gone.png", file: true},
		"a directory":  {path: t.TempDir(), file: true},
		"of no type":   {path: write(t, "a.txt", "x"), file: true},
		"broken":       {path: write(t, "b.png", "text"), file: true, calls: 1, count: "refused"},
		"refused":      {path: good, fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4000}, file: true, calls: 1, count: "refused"},
		"token":        {path: good, fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 700012006, Status: 401}, calls: 1, count: "failed"},
		"quota":        {path: good, fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}, calls: 1, count: "failed"},
		"out of order": {path: good, fault: cozetest.Fault{Kind: cozetest.Gateway, Status: 502}, file: true, calls: 4, count: "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := cozetest.New(t)
			if tt.fault.Kind != "" {
				if err := srv.SetRules(cozetest.Rule{On: "upload", Fault: tt.fault}); err != nil {
					t.Fatal(err)
				}
			}
			counted := ""
			u := &attachment.Uploader{Coze: srv.Client(), Redis: rdb, Count: func(outcome string) { counted += outcome }}
			_, err := u.Upload(t.Context(), tt.path, "")
			if counted != tt.count {
				t.Errorf("counted as %q, want %q", counted, tt.count)
			}
			if file := errors.As(err, new(*attachment.FileError)); err == nil || file != tt.file {
				t.Errorf("got %v, of one file: %v", err, file)
			}
			if n := srv.Calls("/v1/files/upload"); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

// TestRateShared: a refused rate is waited for, and cuts the rate at which every process uploads.
func TestRateShared(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		srv := cozetest.New(t, cozetest.WithRules(cozetest.Rule{On: "upload", Nth: 1, Fault: cozetest.Fault{Kind: cozetest.Limit}}))
		for n, name := range []string{"a.pdf", "b.pdf"} {
			u := &attachment.Uploader{Coze: srv.Client(), Redis: rdb}
			if _, err := u.UploadContent(t.Context(), name, []byte(name)); err != nil {
				t.Fatal(err)
			}
			limits := redistest.Keys(t, rdb, "cozeq:limit:*")
			if len(limits) != 1 || !strings.HasSuffix(limits[0], "}:uploads") {
				t.Fatalf("limits %q", limits)
			}
			permits, refusals := rdb.HGet(t.Context(), limits[0], "calls").Val(), rdb.HGet(t.Context(), limits[0], "refusals").Val()
			if want := strconv.Itoa(n + 2); permits != want || refusals != "1" {
				t.Errorf("%s: %s permits, want %s; %s refusals", name, permits, want, refusals)
			}
		}
	})
}

// TestAbandoned: a caller that gives up does not take along those that wait for the same content.
func TestAbandoned(t *testing.T) {
	srv := cozetest.New(t, cozetest.WithRules(cozetest.Rule{On: "upload", Nth: 1, Fault: cozetest.Fault{Kind: cozetest.Stall}}))
	u := &attachment.Uploader{Coze: srv.Client(), Redis: redistest.Embedded(t)}
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := u.UploadContent(ctx, "a.pdf", []byte("%PDF-1.7"))
		first <- err
	}()
	awaittest.Until(t, "the first upload", func() bool { return srv.Calls("/v1/files/upload") == 1 })
	others := make(chan error)
	for range 20 {
		go func() {
			id, err := u.UploadContent(t.Context(), "b.pdf", []byte("%PDF-1.7"))
			if err == nil && id == "" {
				err = errors.New("no id")
			}
			others <- err
		}()
	}
	giveUp()
	if err := <-first; err == nil {
		t.Error("the first upload has an id")
	}
	for range 20 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if n := srv.Calls("/v1/files/upload"); n != 2 {
		t.Errorf("%d uploads, want 2", n)
	}
}
