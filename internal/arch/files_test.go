package arch

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// oneDoc wants one package comment for each package: none explains nothing, and of two one will be out of date.
func oneDoc(files []file) (faults []string) {
	docs := map[string]int{}
	for _, f := range files {
		if f.pkg == "" || f.test {
			continue
		}
		n := 0
		if f.doc != nil {
			n = 1
		}
		docs[f.dir] += n // a package without any is in the map too
	}
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if n := docs[dir]; n != 1 {
			faults = append(faults, fmt.Sprintf("%s: %d package comments, want 1", dir, n))
		}
	}
	return faults
}

func TestOnePackageComment(t *testing.T) {
	obeyed(t, oneDoc, map[string]string{"worker/a.go": "package worker"})

	const comment = "// Package worker.\npackage worker"
	two := tree(t, fstest.MapFS{"worker/a.go": {Data: []byte(comment)}, "worker/b.go": {Data: []byte(comment)}})
	if faults := oneDoc(two); len(faults) != 1 {
		t.Errorf("two comments in one package: %q, want one fault", faults)
	}
}

// maxLines is the length at which a file has become two.
const maxLines = 500

func tooLong(files []file) (faults []string) {
	for _, f := range files {
		if n := bytes.Count(f.data, []byte("\n")); f.pkg != "" && !f.test && n > maxLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, want at most %d", f.path, n, maxLines))
		}
	}
	return faults
}

func TestFileLength(t *testing.T) {
	obeyed(t, tooLong, map[string]string{"worker/a.go": "package worker" + strings.Repeat("\n", maxLines+1)})
}

// emptyNames say that their author did not know what the thing is.
var emptyNames = regexp.MustCompile(`^(utils?|common|helpers?|types|misc|base|shared)(_test)?$`)

func named(files []file) (faults []string) {
	for _, f := range files {
		if f.pkg == "" {
			continue
		}
		for _, name := range []string{f.pkg, strings.TrimSuffix(path.Base(f.path), ".go")} {
			if emptyNames.MatchString(name) {
				faults = append(faults, fmt.Sprintf("%s: %q is no name: say what is in it", f.path, name))
			}
		}
	}
	return faults
}

func TestNames(t *testing.T) {
	obeyed(t, named, map[string]string{
		"worker/util.go":         "package worker",
		"worker/helpers_test.go": "package worker",
		"internal/common/a.go":   "package common",
	})
}

// leftovers should have gone before the commit. The patterns are written so that they do not match themselves.
var leftovers = map[string]*regexp.Regexp{
	"a merge conflict":          regexp.MustCompile(`(?m)^(<{7}|>{7}) `),
	"work put off":              regexp.MustCompile(`\b(TO[D]O|FIX[M]E)\b`),
	"a path of one machine":     regexp.MustCompile("(?m)(^|[\\s\"'`(=])/(home|root|Users|work)/\\w"),
	"what looks like a token":   regexp.MustCompile(`\bpat_[A-Za-z0-9]{40,}`),
	"what looks like a key":     regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KE[Y]-----`),
	"a carriage return at ends": regexp.MustCompile(`(?m)[^\r\n]\r$`),
}

func leftLying(files []file) (faults []string) {
	for _, f := range files {
		if strings.Contains("/"+f.path, "/testdata/") {
			continue // test data look as they must
		}
		for _, what := range slices.Sorted(maps.Keys(leftovers)) {
			if at := leftovers[what].FindIndex(f.data); at != nil {
				line := 1 + bytes.Count(f.data[:at[0]+1], []byte("\n"))
				faults = append(faults, fmt.Sprintf("%s:%d: %s", f.path, line, what))
			}
		}
	}
	return faults
}

func TestNothingIsLeftLying(t *testing.T) {
	obeyed(t, leftLying, map[string]string{
		"worker/a.go": "package worker\n\n// TO" + "DO: later\n",
		"docs/b.md":   "text\n" + strings.Repeat("<", 7) + " HEAD\n",
		"docs/c.md":   "see " + "/ho" + "me/me/file\n",
		"docs/d.md":   "pat_" + strings.Repeat("a1", 24) + "\n",
		"docs/e.md":   "-----BEGIN RSA PRIVATE " + "KEY-----\n",
		"docs/f.md":   "one\r\n",
	})
}
