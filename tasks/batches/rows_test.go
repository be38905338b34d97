package batches

import (
	"bytes"
	"compress/flate"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/tasks"
)

func TestPackRows(t *testing.T) {
	var rows []Row
	for n := 1; n <= ChunkRows; n++ {
		chat := tasks.Ask("bot", fmt.Sprint("question ", n, "\n<&> 为什么"))
		chat.ConversationKey = "talk"
		rows = append(rows, Row{N: n, CustomID: fmt.Sprint("row ", n), Columns: []string{"", "a\tb"}, Chat: chat})
	}
	rows[4].Chat.AdditionalMessages[0].Content = strings.Repeat("x", 2<<10) // longer than what travels in the queue
	chunk, bodies, err := packRows(rows)
	if err != nil || bodies != 1 {
		t.Fatalf("%d bodies, %v", bodies, err)
	}
	got, err := unpackRows("b", 1, chunk)
	if err != nil || len(got) != len(rows) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i := range got {
		want := rows[i]
		chat := *want.Chat
		chat.BatchID, chat.CustomID = "b", want.CustomID
		if i == 4 {
			chat.AdditionalMessages, chat.Preview = nil, strings.Repeat("x", 200)+"…"
		}
		want.Chat = &chat
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("row %d is %+v %+v, want %+v %+v", i+1, got[i], got[i].Chat, want, want.Chat)
		}
	}
}

// What stands in a chunk may be anything after somebody else has written there: it is
// read, or refused.
func FuzzUnpackRows(f *testing.F) {
	pack := func(text string) []byte {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestSpeed)
		w.Write([]byte(text))
		w.Close()
		return b.Bytes()
	}
	chunk, _, err := packRows([]Row{{N: 1, CustomID: "a", Chat: tasks.Ask("bot", "why?")}, {N: 2, Columns: []string{"x"}, Chat: tasks.Ask("bot", "how?")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(chunk)
	f.Add(chunk[:len(chunk)/2])
	for _, text := range []string{"", "{}", "null", "[]", `{"q":{}}`, `{"q":{"v":"x"}}`, `{"i":1}`, "{\"q\":{}}\n{"} {
		f.Add(pack(text))
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		rows, err := unpackRows("b", 251, chunk)
		if err != nil {
			return
		}
		for i, row := range rows {
			if row.N != 251+i || row.Chat == nil || row.Chat.BatchID != "b" {
				t.Errorf("row %d is %+v", i, row)
			}
		}
		again, _, err := packRows(rows)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := unpackRows("b", 251, again); err != nil || len(second) != len(rows) {
			t.Errorf("packed again: %d rows of %d, %v", len(second), len(rows), err)
		}
	})
}

func FuzzParseTaskID(f *testing.F) {
	for _, id := range []string{"b-1", "b-1.2", "a-b.c-20.31", "-1", "b-01", "b-1.1", "0197a-"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		batch, row, ask, ok := ParseTaskID(id)
		if ok && (TaskID(batch, row, ask) != id || batch == "" || row < 1 || ask < 1) {
			t.Errorf("%q is row %d, ask %d of %q", id, row, ask, batch)
		}
	})
}
