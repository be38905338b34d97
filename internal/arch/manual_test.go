package arch

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

var (
	fenced = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title  = regexp.MustCompile(`(?m)^(#+) (.+)$`)

	tableRow = regexp.MustCompile(`(?m)^\|`)
)

// prose is a page without its blocks of code.
func prose(page []byte) string { return fenced.ReplaceAllString(string(page), "") }

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	heading = link.ReplaceAllString(strings.NewReplacer("[", "", "`", "").Replace(heading), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// brokenLinks are those to a file that is not there, or to a heading that its page has not.
func brokenLinks(files []file) (faults []string) {
	anchors, dirs := map[string]map[string]bool{}, map[string]bool{".": true}
	known := map[string]bool{}
	for _, f := range files {
		known[f.path] = true
		for dir := f.dir; !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
		if path.Ext(f.path) == ".md" {
			anchors[f.path] = map[string]bool{}
			for _, h := range title.FindAllStringSubmatch(prose(f.data), -1) {
				anchors[f.path][anchor(h[2])] = true
			}
		}
	}
	for _, f := range files {
		if anchors[f.path] == nil || f.dir == "internal/cli/errorcodes/manual" { // pieces of pages in docs
			continue
		}
		for _, l := range link.FindAllStringSubmatch(prose(f.data), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			name, heading, there := strings.Cut(l[1], "#")
			target := f.path
			if name != "" {
				target = path.Join(f.dir, name)
			}
			switch {
			case !known[target] && !dirs[target] && path.Ext(target) != ".png": // images are no text, and not in files
				faults = append(faults, fmt.Sprintf("%s: there is no %s", f.path, target))
			case there && !anchors[target][heading]:
				faults = append(faults, fmt.Sprintf("%s: %s has no heading #%s", f.path, target, heading))
			}
		}
	}
	return faults
}

func TestLinks(t *testing.T) {
	obeyed(t, brokenLinks, map[string]string{
		"docs/a.md": "see [that](b.md)\n",
		"docs/c.md": "# Here\n\nsee [that](#there)\n",
	})
	good := tree(t, fstest.MapFS{
		"README.md":    {Data: []byte("# A `b`: c, d\n\n[1](#a-b-c-d) [2](docs/a.md#限流) [3](docs) [4](https://example.com)\n```\n[5](none)\n```\n")},
		"docs/a.md":    {Data: []byte("## 限流\n[README](../README.md)\n")},
		"docs/b/c.txt": {Data: []byte("text")},
	})
	if faults := brokenLinks(good); len(faults) != 0 {
		t.Errorf("good links: %q", faults)
	}
}

// told is what a translation has in common with its original: the levels of its headings, the rows of its tables, and
// the commands and texts that a reader copies.
func told(page []byte) (parts []string) {
	for _, h := range title.FindAllStringSubmatch(prose(page), -1) {
		parts = append(parts, "heading "+h[1])
	}
	parts = append(parts, fmt.Sprint("rows of tables ", len(tableRow.FindAllString(prose(page), -1))))
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		if block[1] != "console" {
			parts = append(parts, block[1]+" "+withoutComments(block[2]))
			continue
		}
		for line := range strings.Lines(block[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				parts = append(parts, "$ "+withoutComments(command))
			}
		}
	}
	return parts
}

var comment = regexp.MustCompile(`(?m)(^|[ \t]+)(//|#) .*$`)

func withoutComments(code string) string {
	return strings.TrimSpace(comment.ReplaceAllString(code, ""))
}

// generated is in pages that the program writes in each language from one table. Their own tests hold them.
const generated = "`go generate "

// translated wants a PAGE.LANGUAGE.md to say what PAGE.md says.
func translated(files []file) (faults []string) {
	pages := map[string][]byte{}
	for _, f := range files {
		pages[f.path] = f.data
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		base, ok := strings.CutSuffix(name, ".md")
		original := strings.TrimSuffix(base, path.Ext(base)) + ".md"
		if !ok || original == name || strings.Contains(string(pages[name]), generated) {
			continue
		}
		if pages[original] == nil && path.Base(original) != "README.md" {
			continue // no translation: a piece of a page
		}
		if fault := difference(told(pages[original]), told(pages[name])); fault != "" {
			faults = append(faults, fmt.Sprintf("%s, as %s has it: %s", name, original, fault))
		}
	}
	return faults
}

// difference is the first one of two lists; "" = none.
func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%.200q is missing", want[i])
		case i >= len(want):
			return fmt.Sprintf("%.200q is too much", got[i])
		case want[i] != got[i]:
			return fmt.Sprintf("%.200q should be %.200q", got[i], want[i])
		}
	}
	return ""
}

func TestTranslations(t *testing.T) {
	obeyed(t, translated, map[string]string{"docs/README.zh-CN.md": "# A\n"})
	original := "# A\n```console\n$ run x   # at once\nout\n```\n```go\nf() // fast\n```\n"
	for page, want := range map[string]int{
		"# 甲\n```console\n$ run x   # 立即\n输出\n```\n```go\nf() // 快\n```\n": 0,
		"# 甲\n```console\n$ run y\n```\n```go\nf()\n```\n":                 1,
		"# 甲\n```console\n$ run x\n```\n":                                  1,
		"## 甲\n```console\n$ run x\n```\n```go\nf()\n```\n":                1,
	} {
		pages := tree(t, fstest.MapFS{"README.md": {Data: []byte(original)}, "README.zh-CN.md": {Data: []byte(page)}})
		if faults := translated(pages); len(faults) != want {
			t.Errorf("%q: %q, want %d faults", page, faults, want)
		}
	}
}

var (
	code = regexp.MustCompile("`([^`\n]+)`")

	// A path of this repository: a file or a directory under one of its top directories, or a file at the top.
	repoPath = regexp.MustCompile(`^(\./)?((cmd|coze|deploy|docs|internal|results|tasks|worker)(/[\w.-]+)+|[\w.-]+\.md)/?$`)

	makeCall   = regexp.MustCompile(`\bmake ([a-z][a-z-]*[a-z])\b`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

// stale are paths that a page names and that do not exist, and make targets likewise. The changelog may name what is gone.
func stale(files []file) (faults []string) {
	paths, targets := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for name := f.path; name != "."; name = path.Dir(name) {
			paths[name] = true
		}
		if f.path == "Makefile" {
			for _, target := range makeTarget.FindAllStringSubmatch(string(f.data), -1) {
				targets[target[1]] = true
			}
		}
	}
	for _, f := range files {
		if path.Ext(f.path) != ".md" || f.path == "CHANGELOG.md" {
			continue
		}
		for _, span := range code.FindAllStringSubmatch(prose(f.data), -1) {
			name := strings.Trim(strings.TrimPrefix(strings.TrimSuffix(span[1], "/..."), "./"), "/")
			if repoPath.MatchString(span[1]) && !paths[name] && !paths[path.Join(f.dir, name)] {
				faults = append(faults, fmt.Sprintf("%s: there is no %s", f.path, name))
			}
			for _, call := range makeCall.FindAllStringSubmatch(span[1], -1) {
				if !targets[call[1]] {
					faults = append(faults, fmt.Sprintf("%s: there is no make %s", f.path, call[1]))
				}
			}
		}
	}
	return faults
}

func TestPagesNameWhatExists(t *testing.T) {
	obeyed(t, stale, map[string]string{
		"docs/a.md":       "see `worker/none.go`\n",
		"docs/b.md":       "see `internal/none`\n",
		"CONTRIBUTING.md": "run `make none PKG=./worker`\n",
	})
	good := tree(t, fstest.MapFS{
		"Makefile":       {Data: []byte("fmt: # format\n\tgofmt -w .\n")},
		"worker/a.go":    {Data: []byte("package worker\n")},
		"worker/a.lua":   {Data: []byte("return 1\n")},
		"docs/a.md":      {Data: []byte("`worker/a.go` `./worker/` `worker/a.lua` `b.md` `make fmt` `make` `task/id` `results.Store`\n")},
		"docs/b.md":      {Data: []byte("```\n`worker/none.go`\n```\n")},
		"docs/img/a.svg": {Data: []byte("<svg/>\n")},
	})
	if faults := stale(good); len(faults) != 0 {
		t.Errorf("good pages: %q", faults)
	}
}

// mostFiles is how many files somebody new has to open to follow one task.
const mostFiles = 12

// TestLifeOfATask counts the files of the path that CONTRIBUTING.md names; that they exist is TestPagesNameWhatExists's.
func TestLifeOfATask(t *testing.T) {
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := strings.Cut(string(page), "\n## The life of a task\n")
	path, _, _ = strings.Cut(path, "\n## ")
	named := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| \d+ \|.*$`).FindAllString(path, -1) {
		for _, file := range regexp.MustCompile("`([a-z/]+\\.go)`").FindAllStringSubmatch(row, -1) {
			named[file[1]] = true
		}
	}
	if len(named) == 0 || len(named) > mostFiles {
		t.Errorf("the life of a task goes through %d files, want 1 to %d", len(named), mostFiles)
	}
}

// unlisted are packages without a line in docs/architecture.md; one for internal/cli/... is for all commands.
func unlisted(files []file) (faults []string) {
	var page string
	packages := map[string]bool{}
	for _, f := range files {
		switch {
		case f.path == "docs/architecture.md":
			page = string(f.data)
		case f.pkg != "" && !f.test && path.Dir(f.dir) != "internal/cli":
			packages[f.dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if !strings.Contains(page, "\n| `"+dir+"` |") {
			faults = append(faults, fmt.Sprintf("%s: docs/architecture.md has no line for it under The packages", dir))
		}
	}
	return faults
}

func TestPackagesAreListed(t *testing.T) {
	obeyed(t, unlisted, map[string]string{"internal/new/a.go": "package new"})
}

// maxReadme is how many lines a newcomer reads.
const maxReadme = 250

func tooMuchToRead(files []file) (faults []string) {
	for _, f := range files {
		if n := strings.Count(string(f.data), "\n"); path.Dir(f.path) == "." && strings.HasPrefix(f.path, "README") && n > maxReadme {
			faults = append(faults, fmt.Sprintf("./%s: %d lines, want at most %d: the rest belongs into docs", f.path, n, maxReadme))
		}
	}
	return faults
}

func TestReadmeLength(t *testing.T) {
	obeyed(t, tooMuchToRead, map[string]string{"README.md": strings.Repeat("line\n", maxReadme+1)})
}

// warnings is the table of the log's warnings in docs/operations.md.
var warnings = regexp.MustCompile(`(?ms)^## Warnings in the log$.*?^## `)

// pieces of a message: three dots stand for what varies, and what is behind a colon may be put together.
var pieces = regexp.MustCompile(`\.\.\.|: `)

// unsaid are warnings that the page explains and that no line of the program says.
func unsaid(files []file) (faults []string) {
	var program strings.Builder
	for _, f := range files {
		if f.pkg != "" && !f.test {
			program.Write(f.data)
		}
	}
	for _, f := range files {
		if path.Base(f.path) != "operations.md" {
			continue
		}
		for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(warnings.FindString(string(f.data)), -1) {
			for _, message := range code.FindAllStringSubmatch(row[1], -1) {
				for _, part := range pieces.Split(message[1], -1) {
					if !strings.Contains(program.String(), strings.TrimSpace(part)) {
						faults = append(faults, fmt.Sprintf("%s: nothing in the program says %q", f.path, part))
					}
				}
			}
		}
	}
	return faults
}

func TestWarningsInOperations(t *testing.T) {
	obeyed(t, unsaid, map[string]string{
		"docs/operations.md": "## Warnings in the log\n\n| warning | what |\n| --- | --- |\n| `never said` | x |\n\n## Pauses\n",
	})
}

// opens is how a page says who should read it.
var opens = regexp.MustCompile(`^# [^\n]+\n\n((English \||\[English\]).*\n\n)?(For |写给)`)

// addressed wants each page of docs to say in its first paragraph who should read it.
func addressed(files []file) (faults []string) {
	for _, f := range files {
		if f.dir == "docs" && path.Ext(f.path) == ".md" && !opens.Match(f.data) {
			faults = append(faults, f.path+": the first paragraph does not say who should read it: For ...")
		}
	}
	return faults
}

func TestPagesNameTheirReaders(t *testing.T) {
	obeyed(t, addressed, map[string]string{"docs/a.md": "# A\n\nIt works.\n"})
}

// TestGoInManual compiles the programs that the manual shows, those that begin with their package clause.
func TestGoInManual(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	args := []string{"build", "-overlay"}
	temporary := t.TempDir()
	for _, f := range tree(t, os.DirFS(top)) {
		if path.Ext(f.path) != ".md" {
			continue
		}
		for _, block := range fenced.FindAllStringSubmatch(string(f.data), -1) {
			if block[1] != "go" || !strings.HasPrefix(block[2], "package ") {
				continue
			}
			name := "shown" + strconv.Itoa(len(overlay.Replace))
			source := filepath.Join(temporary, name+".go")
			if err := os.WriteFile(source, []byte("//line "+f.path+":1\n"+block[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay.Replace[filepath.Join(top, "internal", "arch", name, "shown.go")] = source
			args = append(args, "./internal/arch/"+name)
		}
	}
	if len(overlay.Replace) == 0 {
		t.Fatal("the manual shows no program")
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(temporary, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", slices.Insert(args, 2, list)...)
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
