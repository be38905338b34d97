package exitcode

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// TestHintsInChinese finds the hints that the sources hold as a whole, and wants each in Chinese.
func TestHintsInChinese(t *testing.T) {
	found := 0
	check := func(e ast.Expr, at string) {
		literal, ok := e.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return
		}
		hint, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		if hint == "" || strings.HasSuffix(hint, " ") || strings.HasPrefix(hint, "redis-cli ") {
			return // none, a part of one, a command to paste
		}
		found++
		if HintIn(coze.Chinese, coze.DefaultCodes(), hint) == hint {
			t.Errorf("%s: no Chinese for %q", at, hint)
		}
	}
	for _, pattern := range []string{"../*/*.go", "../cli/*/*.go", "../../cmd/cozeq/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.KeyValueExpr:
					if key, ok := n.Key.(*ast.Ident); ok && (strings.EqualFold(key.Name, "hint") || key.Name == "Fix") {
						check(n.Value, name)
					}
				case *ast.AssignStmt:
					for i, to := range n.Lhs {
						if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "Fix" && len(n.Rhs) == len(n.Lhs) {
							check(n.Rhs[i], name)
						}
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "warned" || f.Name == "failed") && len(n.Args) > 1 {
						check(n.Args[1], name)
					}
				case *ast.FuncDecl:
					if n.Name.Name == "Hint" && n.Recv == nil {
						ast.Inspect(n.Body, func(n ast.Node) bool {
							if r, ok := n.(*ast.ReturnStmt); ok {
								check(r.Results[0], name)
							}
							return true
						})
					}
				}
				return true
			})
		}
	}
	if found < 50 {
		t.Errorf("found only %d hints: does this test look in the right places still?", found)
	}
}
