package coze_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCodesGolden holds every row of the table: a change of a class is a change of what happens to tasks, and is seen.
func TestCodesGolden(t *testing.T) {
	var b strings.Builder
	for _, row := range coze.DefaultCodes().All() {
		fmt.Fprintf(&b, "%d\t%s\t%s\t%d\t%s\t%s\n", row.Code, row.Class, row.Scope, row.Tries, row.Meaning.EN, row.Meaning.ZH)
	}
	const path = "testdata/codes.golden"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("the table is not %s's (-update writes it anew):\n%s", path, got)
	}
}

// TestEveryCode sends every code of the table in each of the ways that codes come, and expects the table's word.
func TestEveryCode(t *testing.T) {
	for _, row := range coze.DefaultCodes().All() {
		t.Run(fmt.Sprint(row.Code), func(t *testing.T) {
			checkTexts(t, row.Meaning, row.Hint)
			body := refusal(row.Code)
			for _, tt := range []struct {
				rt    roundTrip
				zone  coze.Zone
				ended bool
			}{
				{reply(200, "application/json", body), coze.ZoneRefused, false},
				{reply(400, "application/json", body), coze.ZoneRefused, false},
				{stream(event("error", body)), coze.ZoneRefused, false},
				{stream(created + event("error", body)), coze.ZoneCreated, false},
				{stream(created + failed(body)), coze.ZoneCreated, true},
				{stream(created + event("conversation.chat.failed", body)), coze.ZoneCreated, true},
			} {
				got := listen(t, clientOf(tt.rt), false)
				check(t, got.err, row.Class, tt.zone, tt.ended, row.Code)
				if got.err.Scope != row.Scope || got.err.Hint() != row.Hint.EN {
					t.Errorf("scope %q hint %q, want %q %q", got.err.Scope, got.err.Hint(), row.Scope, row.Hint)
				}
			}
		})
	}
}

func TestClassify(t *testing.T) {
	table := coze.DefaultCodes()
	for _, tt := range []struct {
		code, status int
		class        coze.Class
		tries        int
	}{
		{0, 0, coze.ClassTransient, 0},
		{0, 200, coze.ClassTransient, 0},
		{0, 401, coze.ClassAuth, 0},
		{0, 403, coze.ClassPermanent, 0},
		{0, 404, coze.ClassEndpoint, 0},
		{0, 408, coze.ClassTransient, 0},
		{0, 425, coze.ClassTransient, 0},
		{0, 429, coze.ClassRate, 0},
		{0, 500, coze.ClassTransient, 0},
		{0, 504, coze.ClassTransient, 0},
		{4999, 200, coze.ClassPermanent, 0},
		{4999, 429, coze.ClassRate, 0},
		{4999, 503, coze.ClassTransient, 0},
		{5999, 200, coze.ClassTransient, 2},
		{5999, 0, coze.ClassTransient, 2},
		{799999999, 200, coze.ClassTransient, 2},
		{799999999, 400, coze.ClassPermanent, 0},
		{4101, 403, coze.ClassAuth, 0},
		{4016, 500, coze.ClassBusy, 0},
		{5000, 200, coze.ClassTransient, 3},
	} {
		row := table.Classify(tt.code, tt.status)
		if row.Class != tt.class || row.Tries != tt.tries || row.Code != tt.code || row.Meaning.EN == "" || row.Meaning.ZH == "" || row.Hint.EN == "" || row.Hint.ZH == "" {
			t.Errorf("Classify(%d, %d) = %+v", tt.code, tt.status, row)
		}
	}
	if _, ok := table.Lookup(4999); ok {
		t.Error("4999 is in the table")
	}
}

func TestOverride(t *testing.T) {
	table, err := coze.DefaultCodes().Override(strings.NewReader(
		`{"4013": {"class":"transient","tries":2}, "9999": "rate", "4028": {"scope":"bot","hint":"Ask Ann."}, "5000": {"tries":0}, "9998": {"class":"quota","scope":"bot"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]coze.Code{
		4013: {Class: coze.ClassTransient, Scope: coze.ScopeAccount, Tries: 2},
		9999: {Class: coze.ClassRate, Scope: coze.ScopeAccount},
		4028: {Class: coze.ClassQuota, Scope: coze.ScopeBot, Hint: coze.Text{EN: "Ask Ann.", ZH: "Ask Ann."}},
		5000: {Class: coze.ClassTransient},
		9998: {Class: coze.ClassQuota, Scope: coze.ScopeBot},
		4016: {Class: coze.ClassBusy},
	} {
		got, ok := table.Lookup(code)
		if !ok || got.Code != code || got.Class != want.Class || got.Scope != want.Scope || got.Tries != want.Tries || (want.Hint.EN != "" && got.Hint != want.Hint) {
			t.Errorf("%d: %+v", code, got)
		}
	}
	if row, _ := coze.DefaultCodes().Lookup(4013); row.Class != coze.ClassRate {
		t.Error("the built-in table has changed")
	}
	c := clientOf(stream(created + failed(`{"code":4013,"msg":"x"}`)))
	c.Codes = table
	if got := listen(t, c, false); got.err.Class != coze.ClassTransient || got.chat.Err().Class != coze.ClassTransient {
		t.Errorf("the client's table is not asked: %v", got.err)
	}
}

func TestOverrideErrors(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                             "object",
		`{"4013":"rate"} {}`:             "more than one",
		`{"x":"rate"}`:                   `"x"`,
		`{"-1":"rate"}`:                  `"-1"`,
		`{"4013":"often"}`:               `"4013": unknown class "often"`,
		`{"4013":{"class":"invalid"}}`:   `"4013": unknown class`,
		`{"4013":{"tries":-1}}`:          `"4013": tries`,
		`{"4013":{"try":1}}`:             `"4013": not a class`,
		`{"4013":{"scope":"world"}}`:     `"4013": unknown scope`,
		`{"4013":7}`:                     `"4013": not a class`,
		`{"31337":{"tries":1}}`:          `"31337": a code that is not in the table needs a class`,
		`{"4013":"rate","4014":{"c":1}}`: `"4014"`,
	} {
		if _, err := coze.DefaultCodes().Override(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A table that was written out can be read back.
func TestOverrideReadsItsOwnForm(t *testing.T) {
	rows := map[string]any{}
	for _, row := range coze.DefaultCodes().All() {
		rows[fmt.Sprint(row.Code)] = map[string]any{"class": row.Class, "scope": row.Scope, "tries": row.Tries,
			"meaning": row.Meaning.EN, "hint": row.Hint.EN, "zh": map[string]any{"meaning": row.Meaning.ZH, "hint": row.Hint.ZH}}
	}
	content, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	again, err := coze.DefaultCodes().Override(strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range coze.DefaultCodes().All() {
		if got, _ := again.Lookup(row.Code); got != row {
			t.Errorf("%+v, want %+v", got, row)
		}
	}
}
