package input_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/usage"
)

func TestPrompt(t *testing.T) {
	tests := []struct{ name, file, content, prompt, want string }{
		{"columns", "q.csv", "id,text,语言\n1,hello,中文\n2,\" bye \",法文\n", "Translate into {{.语言}}: {{.text}}",
			"1@2 1 \"Translate into 中文: hello\" bot=bot\n2@3 2 \"Translate into 法文:  bye \" bot=bot\n"},
		{"a name with a space", "q.csv", "my text\nhello\n", `{{index . "my text" | printf "%q"}}`, "1@2 1 \"\\\"hello\\\"\" bot=bot\n"},
		{"conditions", "q.csv", "text,ctx\na,\nb,c\n", "{{.text}}{{with .ctx}} ({{.}}){{end}}", "1@2 1 \"a\" bot=bot\n2@3 2 \"b (c)\" bot=bot\n"},
		{"fields", "q.jsonl", `{"custom_id":"x","user":{"name":"Ann"},"n":7342866812345123456,"tags":["a","b"],"user_id":"u"}`,
			"{{.user.name}} {{.n}}{{range .tags}} {{.}}{{$.n}}{{end}}", "1@1 x \"Ann 7342866812345123456 a7342866812345123456 b7342866812345123456\" bot=bot user=u\n"},
		{"the row as a whole", "q.csv", "a,b\nx,y\n", `{{define "t"}}{{.b}}{{.a}}{{end}}{{template "t" .}}`, "1@2 1 \"yx\" bot=bot\n"},
		{"null is nothing", "q.jsonl", `{"a":null,"b":"x"}`, "{{.a}}{{.b}}", "1@1 1 \"x\" bot=bot\n"},
		{"lines", "q.txt", "one\ntwo\n", "What is {{.question}}?", "1@1 1 \"What is one?\" bot=bot\n2@2 2 \"What is two?\" bot=bot\n"},
		{"question is a column like any other", "q.csv", "question,a\nx,y\n", "{{.a}}{{.question}}", "1@2 1 \"yx\" bot=bot\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := rows(t, filetest.Open(t, test.file, test.content, input.Options{Prompt: test.prompt})); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

func TestPromptProblems(t *testing.T) {
	tests := []struct{ name, file, content, prompt, want string }{
		{"no such column", "q.csv", "id,text\n1,x\n", "{{.txt}}", `:1: the prompt names "txt", and there are "id", "text"; did you mean {{.text}}?`},
		{"in a branch that is not taken", "q.csv", "text\nx\n", "{{.text}}{{if false}}{{.b}}{{end}}", `:1: the prompt names "b", and there are "text"`},
		{"no such field", "q.jsonl", `{"text":"a"}` + "\n" + `{"test":"b"}`, "{{.text}}", `:2: the prompt names "text", and there are "test"; did you mean {{.test}}?`},
		{"no such field inside", "q.jsonl", `{"u":{}}`, "{{.u.name}}", `:1: prompt:1:4: executing "prompt" at <.u.name>: map has no entry for key "name"`},
		{"nothing in it", "q.csv", "a,b\nx,\n,y\n", "{{.a}}", ":3: the prompt makes an empty question of it"},
		{"twice", "q.csv", "a,a\nx,y\n", "{{.a}}", `:1: column "a" is repeated`},
		{"txt", "q.txt", "x\n", "{{.text}}", `:1: the prompt names "text", and there are "question" in a .txt`},
		{"messages", "q.jsonl", `{"a":"x","additional_messages":[]}`, "{{.a}}", ":1: additional_messages and a prompt: give one of the two"},
		{"body", "q.jsonl", `{"body":{"messages":[]}}`, "{{.body}}", ":1: body and a prompt: give one of the two"},
		{"endless", "q.csv", "a\n" + strings.Repeat("x", 1<<20) + "\n", "{{range 1000000000}}{{$.a}}{{end}}", ":2: the prompt makes a question of more than 15 MiB of it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := filetest.Open(t, test.file, test.content, input.Options{Prompt: test.prompt})
			_, err := in.Check(t.Context())
			if err == nil || strings.TrimPrefix(err.Error(), in.Name()) != test.want {
				t.Errorf("Check: %v, want %s", err, test.want)
			}
		})
	}
	for prompt, want := range map[string]string{
		"{{.a":        `prompt:1: unclosed action: a column is written as {{.text}}, one with a space in its name as {{index . "my text"}}`,
		"{.a}":        "the prompt names no column, so all questions would be the same: write one as {{.text}}",
		"{{nope .a}}": `prompt:1: function "nope" not defined: a column is written as {{.text}}, one with a space in its name as {{index . "my text"}}`,
	} {
		err := input.Options{Prompt: prompt}.Check()
		if _, ok := errors.AsType[*usage.Error](err); !ok || err.Error() != want {
			t.Errorf("%s: %v, want %s", prompt, err, want)
		}
	}
}

func FuzzPrompt(f *testing.F) {
	f.Add("Translate: {{.text}}", "hello")
	f.Add(`{{with .text}}{{index $ "text"}}{{else}}{{.text | len}}{{end}}`, "")
	f.Add(`{{range $i, $c := .text}}{{template "x" $}}{{end}}{{define "x"}}{{.text}}{{end}}`, "ab")
	f.Fuzz(func(t *testing.T, prompt, text string) {
		o := input.Options{Prompt: prompt}
		if o.Check() != nil || strings.Contains(prompt, "range") || strings.ContainsAny(text, "\"\r") {
			t.Skip() // a loop may be a long one, and the text is a cell
		}
		fuzzRows(t, "q.csv", []byte("text,question\n\""+text+"\",x\n"), o)
	})
}
