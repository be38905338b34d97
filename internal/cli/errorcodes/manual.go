package errorcodes

import (
	"embed"
	"io"
	"strings"
	"text/template"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/terminal"
)

//go:generate sh -c "COZEQ_CODES= go run ../../../cmd/cozeq errors --markdown --lang en > ../../../docs/errors.md"
//go:generate sh -c "COZEQ_CODES= go run ../../../cmd/cozeq errors --markdown --lang zh > ../../../docs/errors.zh-CN.md"

//go:embed manual/*.md
var manualFiles embed.FS

// manualData fills the template of a language.
type manualData struct {
	Classes []manualClass
	Codes   []coze.Code
}

// manualClass is a row of the table of classes: a class in one scope.
type manualClass struct {
	Class   coze.Class
	Scope   coze.Scope
	Meaning coze.Text
	Action  coze.Text
}

// writeManual writes docs/errors.md, or the same in another language.
func writeManual(w io.Writer, lang coze.Lang, codes []coze.Code) error {
	t := template.New("").Funcs(template.FuncMap{
		"text":  func(t coze.Text) string { return cell(t.In(lang)) },
		"name":  func(s coze.Scope) string { return quoted(string(s)) },
		"scope": func(s coze.Scope) string { return cell(covers(s).In(lang)) },
	})
	name := "errors." + string(lang) + ".md"
	t, err := t.ParseFS(manualFiles, "manual/"+name)
	if err != nil {
		return err
	}
	data := manualData{Codes: codes}
	for _, class := range coze.Classes() {
		var own []coze.Code
		for _, code := range codes {
			if code.Class == class {
				own = append(own, code)
			}
		}
		for _, scope := range scopes(class, own) {
			data.Classes = append(data.Classes, manualClass{class, scope, class.Meaning(), action(class, scope, 0)})
		}
	}
	return t.ExecuteTemplate(w, name, data)
}

// quoted is a word of the program's in backquotes; "" stays empty.
func quoted(word string) string {
	if word == "" {
		return ""
	}
	return "`" + word + "`"
}

// cell escapes a text for a cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(terminal.OneLine(text), "|", `\|`) }
