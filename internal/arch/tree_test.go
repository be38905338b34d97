package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/cozeq/cozeq"

// file is one file of the tree. The fields from imports on are filled for Go files only.
type file struct {
	path string // slash-separated, from the top of the module
	data []byte

	dir     string // "worker"; "." for the top
	test    bool
	pkg     string // its package clause
	doc     *ast.CommentGroup
	imports []string
}

// skipped are directories that hold nothing that we wrote; .git is a file where git has more than one work tree.
var skipped = map[string]bool{".git": true, "bin": true, "node_modules": true, "dist": true, "dist-extra": true}

// tree reads the module: every text file of it, without nested modules (they have a go.mod of their own).
func tree(t testing.TB, fsys fs.FS) []file {
	t.Helper()
	var files []file
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := fs.Stat(fsys, path.Join(name, "go.mod"))
			if skipped[d.Name()] || name != "." && err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || skipped[d.Name()] {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data, 0) >= 0 {
			return nil // a workbook, an image
		}
		f := file{path: name, dir: path.Dir(name), data: data}
		if path.Ext(name) == ".go" && !strings.Contains("/"+name, "/testdata/") {
			parse(t, &f)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(t testing.TB, f *file) {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), f.path, f.data, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	f.test = strings.HasSuffix(f.path, "_test.go")
	f.pkg = syntax.Name.Name
	f.doc = syntax.Doc
	for _, spec := range syntax.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		f.imports = append(f.imports, name)
	}
}

// rule reports what is wrong with a tree, a line for each fault.
type rule func(files []file) []string

// obeyed checks the rule on this repository, and that it can find something: on each of bad, a file and its content,
// it has to report a fault that names the file's directory.
func obeyed(t *testing.T, r rule, bad map[string]string) {
	t.Run("repository", func(t *testing.T) {
		for _, fault := range r(tree(t, os.DirFS("../.."))) {
			t.Error(fault)
		}
	})
	for name, data := range bad {
		t.Run("finds "+name, func(t *testing.T) {
			faults := r(tree(t, fstest.MapFS{name: {Data: []byte(data)}}))
			if len(faults) != 1 || !strings.Contains(faults[0], path.Dir(name)) {
				t.Errorf("got %q, want one fault in %s", faults, path.Dir(name))
			}
		})
	}
}
