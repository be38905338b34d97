package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// followers are net/http's ways to send a request that follow redirects.
var followers = map[string]bool{"DefaultClient": true, "Get": true, "Head": true, "Post": true, "PostForm": true}

// redirected finds the clients that follow redirects: net/http's own, and every literal that has no CheckRedirect and is
// not an argument of coze.NoRedirects. A token would follow a redirect to another port or scheme.
func redirected(files []file) (faults []string) {
	for _, f := range files {
		if f.pkg == "" || f.test {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, f.path, f.data, 0)
		if err != nil {
			continue // the compiler's to say
		}
		guarded := map[ast.Expr]bool{}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if name := nameOf(n.Fun); name == "NoRedirects" || name == "coze.NoRedirects" {
					if arg, ok := n.Args[0].(*ast.UnaryExpr); ok {
						guarded[arg.X] = true
					}
				}
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && nameOf(kv.Key) == "CheckRedirect" {
						guarded[n] = true
					}
				}
				if nameOf(n.Type) == "http.Client" && !guarded[n] {
					faults = append(faults, fmt.Sprintf("%v: this client follows redirects: coze.NoRedirects", set.Position(n.Pos())))
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "http" && followers[n.Sel.Name] {
					faults = append(faults, fmt.Sprintf("%v: http.%s follows redirects", set.Position(n.Pos()), n.Sel.Name))
				}
			}
			return true
		})
	}
	return faults
}

// nameOf is an identifier, or a package's name and one of its identifiers.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	}
	return ""
}

func TestNoRedirects(t *testing.T) {
	obeyed(t, redirected, map[string]string{
		"coze/a.go": "package coze\nvar c = &http.Client{Transport: t}",
		"coze/b.go": "package coze\nvar c = http.DefaultClient",
		"coze/c.go": "package coze\nfunc f() { http.Get(\"https://api.coze.cn\") }",
	})
}
