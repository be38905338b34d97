package results_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestPartsAreSealed wants each of several answers encrypted, and its type readable.
func TestPartsAreSealed(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := results.NewStore(rdb)
		defer store.Close()
		store.Keys = parseKeys(t, "k1:"+keyText('a'))
		want := []results.Part{{ContentType: "text", Content: "secret words"}, {ContentType: "card", Content: `{"secret":1}`}}
		a, err := record.New(store).Begin(t.Context(), results.Result{ID: "t1"}, false)
		if err != nil {
			t.Fatal(err)
		}
		a.Result.Status, a.Result.Answer, a.Result.Parts = results.Completed, "secret words", want
		if err := a.Finish(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		raw, err := rdb.HGet(t.Context(), results.Key("t1"), "parts").Result()
		if err != nil || strings.Contains(raw, "secret") || !strings.Contains(raw, `"content_type":"card"`) {
			t.Errorf("%s, %v", raw, err)
		}
		r, err := store.Get(t.Context(), "t1")
		if err != nil || !reflect.DeepEqual(r.Parts, want) {
			t.Errorf("%+v, %v", r, err)
		}
		store.Keys = nil
		r, err = store.Get(t.Context(), "t1")
		if err != nil || r.Sealed == nil || r.Readable().Parts[1].Content != "" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
