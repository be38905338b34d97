package input

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/cozeq/cozeq/internal/usage"
)

type prompt struct {
	template *template.Template
	names    []string // the columns or fields that it names, in order, each once
	whole    bool     // it uses the row as a whole, too
	sha256   string   // of its text
}

// promptName is the template's name in errors.
const promptName = "prompt"

// newPrompt parses a template. One that cannot be parsed is a *usage.Error, as is one that names no column: it would ask the
// same question for all rows.
func newPrompt(text string) (*prompt, error) {
	t, err := template.New(promptName).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, &usage.Error{
			What: strings.TrimPrefix(err.Error(), "template: "),
			Hint: "a column is written as {{.text}}, one with a space in its name as {{index . \"my text\"}}",
		}
	}
	sum := sha256.Sum256([]byte(text))
	p := &prompt{template: t, sha256: hex.EncodeToString(sum[:])}
	if t.Tree != nil {
		p.collect(t.Root, true)
	}
	if len(p.names) == 0 && !p.whole {
		return nil, &usage.Error{What: "the prompt names no column, so all questions would be the same", Hint: "write one as {{.text}}"}
	}
	return p, nil
}

// collect finds the names that a row must have. dot is whether the dot is the row: inside range and with it is something
// else, and the row is $.
func (p *prompt) collect(node parse.Node, dot bool) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, inner := range n.Nodes {
			p.collect(inner, dot)
		}
	case *parse.ActionNode:
		p.collect(n.Pipe, dot)
	case *parse.IfNode:
		p.branch(&n.BranchNode, dot, dot)
	case *parse.WithNode:
		p.branch(&n.BranchNode, dot, false)
	case *parse.RangeNode:
		p.branch(&n.BranchNode, dot, false)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			p.collect(n.Pipe, dot)
		}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			p.collect(command, dot)
		}
	case *parse.CommandNode:
		if name, ok := indexed(n, dot); ok {
			p.name(name)
		}
		for _, arg := range n.Args {
			p.collect(arg, dot)
		}
	case *parse.ChainNode:
		p.collect(n.Node, dot)
	case *parse.DotNode:
		p.whole = p.whole || dot
	case *parse.FieldNode:
		if dot {
			p.name(n.Ident[0])
		}
	case *parse.VariableNode:
		switch {
		case n.Ident[0] != "$":
		case len(n.Ident) > 1:
			p.name(n.Ident[1])
		default:
			p.whole = true
		}
	}
}

func (p *prompt) branch(n *parse.BranchNode, outer, inner bool) {
	p.collect(n.Pipe, outer)
	p.collect(n.List, inner)
	p.collect(n.ElseList, outer)
}

// indexed is the name in {{index . "a name"}}.
func indexed(n *parse.CommandNode, dot bool) (string, bool) {
	if len(n.Args) < 3 || n.Args[0].String() != "index" {
		return "", false
	}
	_, isDot := n.Args[1].(*parse.DotNode)
	name, isString := n.Args[2].(*parse.StringNode)
	if !isString || !(isDot && dot) && n.Args[1].String() != "$" {
		return "", false
	}
	return name.Text, true
}

func (p *prompt) name(name string) {
	if !slices.Contains(p.names, name) {
		p.names = append(p.names, name)
	}
}

// missing reports the first name that is not there; "" = all are.
func (p *prompt) missing(there []string) string {
	for _, name := range p.names {
		if slices.Contains(there, name) {
			continue
		}
		what := fmt.Sprintf("the prompt names %q, and there are %s", name, quotedSome(there))
		if near := usage.Nearest(name, there); near != "" {
			what += fmt.Sprintf("; did you mean {{.%s}}?", near)
		}
		return what
	}
	return ""
}

func quotedSome(names []string) string {
	const some = 20
	if len(names) <= some {
		return quoted(names)
	}
	return fmt.Sprintf("%s and %d more", quoted(names[:some]), len(names)-some)
}

func (p *prompt) fill(fields map[string]any) (string, error) {
	var b limited
	if err := p.template.Execute(&b, fields); err != nil {
		if errors.Is(err, errQuestionTooLong) {
			return "", errQuestionTooLong
		}
		return "", errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	if Blank(b.String()) {
		return "", errors.New("the prompt makes an empty question of it")
	}
	return b.String(), nil
}

var errQuestionTooLong = errors.New("the prompt makes a question of more than 15 MiB of it")

// limited holds as much as Coze accepts.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > 15<<20 {
		return 0, errQuestionTooLong
	}
	return l.Builder.Write(p)
}
