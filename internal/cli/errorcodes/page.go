package errorcodes

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/terminal"
)

// page shows codes to people.
type page struct {
	streams *terminal.Streams
	lang    coze.Lang
}

// Labels of a page's rows.
var (
	labelCode       = coze.Text{EN: "code", ZH: "错误码"}
	labelMeaning    = coze.Text{EN: "meaning", ZH: "含义"}
	labelClass      = coze.Text{EN: "class", ZH: "类别"}
	labelClassMeans = coze.Text{EN: "class means", ZH: "类别说明"}
	labelScope      = coze.Text{EN: "scope", ZH: "范围"}
	labelAction     = coze.Text{EN: "cozeq", ZH: "cozeq 的处理"}
	labelAsks       = coze.Text{EN: "asks", ZH: "提问次数"}
	labelHint       = coze.Text{EN: "hint", ZH: "建议"}
)

// label is in the reader's language on a terminal, and English in a pipe, where programs look for it.
func (p *page) label(t coze.Text) string {
	if p.streams.OutTTY {
		return t.In(p.lang)
	}
	return t.EN
}

// list has a line per code: what fits on a terminal, and all columns in a pipe.
func (p *page) list(codes []coze.Code) error {
	header := []string{"CODE", "CLASS", "SCOPE", "MEANING"}
	if p.lang == coze.Chinese {
		header = []string{labelCode.ZH, labelClass.ZH, labelScope.ZH, labelMeaning.ZH}
	}
	t := &terminal.Table{Header: header, Paint: func(column int, cell string) terminal.Paint {
		if column == 1 {
			return classPaint(coze.Class(cell))
		}
		return ""
	}}
	for _, code := range codes {
		cells := []string{strconv.Itoa(code.Code), string(code.Class), string(code.Scope), code.Meaning.In(p.lang)}
		if !p.streams.OutTTY {
			cells = append(cells, action(code.Class, code.Scope, code.Tries).In(p.lang), code.Hint.In(p.lang))
		}
		t.Add(cells...)
	}
	return t.Write(p.streams)
}

func classPaint(class coze.Class) terminal.Paint {
	switch class {
	case coze.ClassPermanent, coze.ClassInvalid, coze.ClassAction:
		return terminal.Red
	case coze.ClassAuth, coze.ClassQuota, coze.ClassEndpoint:
		return terminal.Yellow
	}
	return ""
}

func (p *page) code(c coze.Code, listed bool) error {
	meaning := c.Meaning
	if !listed {
		meaning = coze.Text{EN: "not in the table: judged by its range", ZH: "不在表中：按错误码所在的区间判断"}
	}
	t := p.titled(labelCode, coze.Text{EN: "CODE", ZH: labelCode.ZH}, strconv.Itoa(c.Code))
	t.Add(p.label(labelMeaning), meaning.In(p.lang))
	t.Add(p.label(labelClass), string(c.Class))
	t.Add(p.label(labelClassMeans), c.Class.Meaning().In(p.lang))
	t.Add(p.label(labelScope), p.scope(c.Scope))
	t.Add(p.label(labelAction), action(c.Class, c.Scope, c.Tries).In(p.lang))
	if c.Tries > 0 && c.Class == coze.ClassTransient { // the other classes ignore it
		most := coze.Text{EN: fmt.Sprintf("at most %d", c.Tries), ZH: fmt.Sprintf("最多 %d 次", c.Tries)}
		t.Add(p.label(labelAsks), most.In(p.lang))
	}
	if hint := c.Hint.In(p.lang); hint != "" {
		t.Add(p.label(labelHint), hint)
	}
	return t.WriteLong(p.streams)
}

func (p *page) class(name coze.Class, codes []coze.Code) error {
	codes = slices.DeleteFunc(codes, func(c coze.Code) bool { return c.Class != name })
	t := p.titled(labelClass, coze.Text{EN: "CLASS", ZH: labelClass.ZH}, string(name))
	t.Add(p.label(labelMeaning), name.Meaning().In(p.lang))
	found := scopes(name, codes)
	for _, scope := range found {
		label := p.label(labelAction)
		if len(found) > 1 && scope != "" {
			label += " (" + string(scope) + ")"
		}
		t.Add(label, action(name, scope, 0).In(p.lang))
	}
	if hint := name.Hint().In(p.lang); hint != "" {
		t.Add(p.label(labelHint), hint)
	}
	if err := t.WriteLong(p.streams); err != nil || len(codes) == 0 {
		return err
	}
	if _, err := io.WriteString(p.streams.Out, "\n"); err != nil {
		return err
	}
	return p.list(codes)
}

// titled begins a page with a header, or with a row in a pipe.
func (p *page) titled(name, title coze.Text, value string) *terminal.Table {
	t := &terminal.Table{Header: []string{title.In(p.lang), value}}
	if !p.streams.OutTTY {
		t.Add(name.EN, value)
	}
	return t
}

func (p *page) scope(s coze.Scope) string {
	whom := covers(s).In(p.lang)
	switch {
	case s == "":
		return whom
	case p.lang == coze.Chinese:
		return string(s) + "：" + whom
	}
	return string(s) + ": " + whom
}
