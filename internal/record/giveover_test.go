package record_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestGiveOver has an attempt that was fenced bring its chat to the owner, wherever that
// one has come.
func TestGiveOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s := openStore(rdb)
		begin := func(t *testing.T, id string) *record.Attempt {
			t.Helper()
			a, err := s.Begin(ctx, results.Result{ID: id}, false)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		// taken is a task that A has asked and B has taken over, and A's chat.
		taken := func(t *testing.T, id string) (b *record.Attempt, chat record.GivenChat) {
			t.Helper()
			a := begin(t, id)
			must(t, a.Asking(ctx, "c"))
			b = begin(t, id)
			for !time.Now().Truncate(time.Millisecond).After(b.AskedAt) { // their notes differ
				runtime.Gosched()
			}
			if err := a.Created(ctx, "c", "a"); !errors.Is(err, record.ErrFenced) {
				t.Fatalf("Created: %v", err)
			}
			return b, record.GivenChat{TaskID: id, ConversationID: "c", ChatID: "a", AskedAt: b.AskedAt, Runs: true}
		}
		give := func(t *testing.T, chat record.GivenChat, want bool) {
			t.Helper()
			for range 2 { // a script may be run twice
				if wanted, err := s.GiveOver(ctx, chat); wanted != want || err != nil {
					t.Errorf("GiveOver: %v, %v; want %v", wanted, err, want)
				}
			}
		}
		// ends checks the hash and the message of a task that B ends.
		ends := func(t *testing.T, b *record.Attempt, chat string, others ...string) {
			t.Helper()
			c := hear(t, rdb, b.Result.ID)
			b.Result.Status, b.Result.ChatID = results.Completed, chat
			must(t, b.Finish(ctx, false))
			r, err := s.Get(ctx, b.Result.ID)
			must(t, err)
			var message results.Result
			told := c.messages()
			if len(told) != 1 {
				t.Fatalf("published %q", told)
			}
			must(t, json.Unmarshal([]byte(told[0]), &message))
			for _, r := range []*results.Result{r, &message} {
				if r.ChatID != chat || !slices.Equal(r.OtherChatIDs, others) || r.PossibleDuplicate != (len(others) > 0) {
					t.Errorf("got %+v, want chat %q, others %q", r, chat, others)
				}
			}
		}
		t.Run("found", func(t *testing.T) {
			b, chat := taken(t, "g1")
			must(t, b.Created(ctx, "c", "a"))
			give(t, chat, true)
			ends(t, b, "a")
		})
		t.Run("not asked yet, then it is to ask", func(t *testing.T) {
			b, chat := taken(t, "g2")
			give(t, chat, true)
			if err := b.Asking(ctx, "c2"); !errors.Is(err, record.ErrChatGiven) || b.Result.ChatID != "a" || b.Result.ConversationID != "c" {
				t.Fatalf("Asking: %v, %+v", err, b.Result)
			}
			ends(t, b, "a")
		})
		t.Run("not asked yet, then parked", func(t *testing.T) {
			b, chat := taken(t, "g3")
			give(t, chat, true)
			must(t, b.Wait(ctx, nil))
			b = begin(t, "g3")
			if b.Result.ChatID != "a" || b.Result.ConversationID != "c" || !b.AskedAt.IsZero() {
				t.Errorf("the next one begins with %+v", b.Result)
			}
			ends(t, b, "a")
		})
		t.Run("not asked yet, then it ends without", func(t *testing.T) {
			b, chat := taken(t, "g4")
			give(t, chat, true)
			ends(t, b, "", "a")
		})
		t.Run("asked", func(t *testing.T) {
			b, chat := taken(t, "g5")
			must(t, b.Asking(ctx, "c2"))
			give(t, chat, false)
			must(t, b.Created(ctx, "c2", "b"))
			ends(t, b, "b", "a")
		})
		t.Run("asked, with a chat", func(t *testing.T) {
			b, chat := taken(t, "g6")
			must(t, b.Asking(ctx, "c2"))
			must(t, b.Created(ctx, "c2", "b"))
			give(t, chat, false)
			must(t, b.Wait(ctx, nil))
			ends(t, begin(t, "g6"), "b", "a")
		})
		t.Run("ids that JSON would escape", func(t *testing.T) {
			b, chat := taken(t, "g5b")
			must(t, b.Asking(ctx, "c2"))
			chat.ChatID = "a<&>\u2028\"\\"
			give(t, chat, false)
			must(t, b.Created(ctx, "c2", "b"))
			ends(t, b, "b", "a")
		})
		t.Run("ended", func(t *testing.T) {
			b, chat := taken(t, "g7")
			ends(t, b, "b")
			give(t, chat, false)
			if r, err := s.Get(ctx, "g7"); err != nil || r.Status != results.Completed || !r.PossibleDuplicate || !slices.Equal(r.OtherChatIDs, []string{"a"}) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
		t.Run("noted, and asked again since", func(t *testing.T) {
			_, err := s.Create(ctx, record.Entry{Result: results.Result{ID: "g8"}})
			must(t, err)
			a := begin(t, "g8")
			must(t, a.Asking(ctx, "c"))
			must(t, a.Created(ctx, "c", "a"))
			b := begin(t, "g8")
			b.EndedChat, b.Result.ChatID = "a", ""
			must(t, b.Wait(ctx, nil))
			b = begin(t, "g8")
			must(t, b.Asking(ctx, "c"))
			must(t, b.Created(ctx, "c", "b"))
			b.EndedChat, b.Result.ChatID = "b", ""
			must(t, b.Wait(ctx, nil))
			b = begin(t, "g8")
			give(t, record.GivenChat{TaskID: "g8", ConversationID: "c", ChatID: "a", Noted: true}, true)
			ends(t, b, "")
		})
		t.Run("noted, and the note is lost", func(t *testing.T) {
			b := begin(t, "g9")
			must(t, b.Asking(ctx, "c2"))
			give(t, record.GivenChat{TaskID: "g9", ConversationID: "c", ChatID: "a", Noted: true, Lost: true}, false)
			ends(t, b, "b", "a")
		})
		t.Run("gone, and the attempt runs", func(t *testing.T) {
			give(t, record.GivenChat{TaskID: "g10", ConversationID: "c", ChatID: "a", Noted: true, Lost: true, Runs: true}, true)
			_, err := s.Create(ctx, record.Entry{Result: results.Result{ID: "g10"}})
			must(t, err)
			b := begin(t, "g10")
			if b.Result.ChatID != "a" {
				t.Errorf("begins with %+v", b.Result)
			}
			ends(t, b, "a")
		})
		t.Run("gone", func(t *testing.T) {
			give(t, record.GivenChat{TaskID: "g11", ConversationID: "c", ChatID: "a"}, false)
			if n := rdb.Exists(ctx, results.Key("g11")).Val(); n != 0 {
				t.Error("a record was made")
			}
		})
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
