package batch

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	JSONL Format = "jsonl" // an object a line
	CSV   Format = "csv"   // a header row, then a row a question
	TSV   Format = "tsv"   // csv with tabs
	TXT   Format = "txt"   // a question a line; input only
)

var (
	inputFormats  = []Format{JSONL, CSV, TSV, TXT}
	outputFormats = []Format{JSONL, CSV, TSV}
)

func list[S ~string](names []S, prefix string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(prefix + string(name))
	}
	return b.String()
}

func extension(path string) Format {
	return Format(strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")))
}

func inputFormat(path, name string) (Format, error) {
	if name != "" {
		f := Format(strings.ToLower(name))
		if !slices.Contains(inputFormats, f) {
			return "", &UsageError{
				What: fmt.Sprintf("unknown format %q", name),
				Hint: "--format takes " + list(inputFormats, ""),
			}
		}
		return f, nil
	}
	if path == "-" {
		return JSONL, nil
	}
	f := extension(path)
	if !slices.Contains(inputFormats, f) {
		return "", &UsageError{
			What: path + " has none of the extensions " + list(inputFormats, "."),
			Hint: "say what it is with --format",
		}
	}
	return f, nil
}

func outputFormat(path string) (Format, error) {
	f := extension(path)
	if !slices.Contains(outputFormats, f) {
		return "", &UsageError{
			What: "cannot tell the format of " + path,
			Hint: "end its name in one of " + list(outputFormats, "."),
		}
	}
	return f, nil
}
