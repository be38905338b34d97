package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// FuzzJournal cuts a journal at any byte and puts anything behind it: what was written before the cut is there, but
// for the torn line, and anything else is refused in words.
func FuzzJournal(f *testing.F) {
	const rows = 4
	s := input.Source{SHA256: "00", Rows: rows, Format: input.TXT, BotID: "b"}
	path := filepath.Join(f.TempDir(), "a.jsonl.partial")
	j, err := Open(f.Context(), path)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.Begin("run", s); err != nil {
		f.Fatal(err)
	}
	for row := 1; row <= rows; row++ {
		if err := j.Note(Chat{Row: row, ConversationID: "c"}); err != nil {
			f.Fatal(err)
		}
		if row == rows {
			break
		}
		if err := j.Record(row, fmt.Appendf(nil, `{"id":"run-%d","custom_id":"%[1]d","status":"completed"}`, row), results.Usage{TokenCount: int64(row)}); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.Void(2, &results.Result{Usage: &results.Usage{TokenCount: 7}}); err != nil {
		f.Fatal(err)
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}

	for cut := range len(whole) + 1 {
		f.Add(uint16(cut), []byte(nil))
	}
	f.Add(uint16(len(whole)), []byte("{}\n"))
	f.Add(uint16(0), []byte(`{"cozeq":"run","version":2,"run":"x"}`+"\n"))
	f.Fuzz(func(t *testing.T, cut uint16, tail []byte) {
		content := whole[:min(int(cut), len(whole))]
		path := filepath.Join(t.TempDir(), "a.jsonl.partial")
		if err := os.WriteFile(path, append(bytes.Clone(content), tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		began, err := j.Load(s)
		if len(tail) > 0 {
			return // anything may come out, but no panic
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		lines := bytes.Count(content, []byte("\n"))
		if began != (lines > 0) {
			t.Fatalf("cut at %d: began is %v with %d lines", cut, began, lines)
		}
		if !began {
			return
		}
		if whole := int64(bytes.LastIndexByte(content, '\n') + 1); j.size != whole {
			t.Fatalf("cut at %d: %d bytes are left, want %d", cut, j.size, whole)
		}
		for row := 1; row <= rows; row++ {
			written := bytes.Contains(content, fmt.Appendf(nil, "\"id\":\"run-%d\",\"custom_id\":\"%[1]d\",\"status\":\"completed\"}\n", row))
			voided := row == 2 && len(content) == len(whole)
			if j.Ended(row) != (written && !voided) {
				t.Errorf("cut at %d: row %d has ended: %v", cut, row, j.Ended(row))
			}
		}
	})
}

// TestLockOfADyingRun: a run that was killed holds its journal until the kernel has torn it down.
func TestLockOfADyingRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl.partial")
	dying, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock(dying); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(lockPatience/10, func() { _ = dying.Close() })
	j, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
