package input

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/usage"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	JSONL Format = "jsonl" // an object a line
	JSON  Format = "json"  // an array of objects; as an input also an object a line
	CSV   Format = "csv"   // a header row, then a row a question
	TSV   Format = "tsv"   // csv with tabs
	XLSX  Format = "xlsx"  // a sheet, as csv
	TXT   Format = "txt"   // a question a line; input only

	Parquet Format = "parquet" // output only
)

var (
	inputFormats  = []Format{JSONL, JSON, CSV, TSV, XLSX, TXT}
	outputFormats = []Format{JSONL, JSON, CSV, TSV, XLSX, Parquet}
)

func (f Format) table() bool { return f == CSV || f == TSV || f == XLSX }

func (f Format) Objects() bool { return f == JSONL || f == JSON }

// CompressedSuffix is that of a file packed with gzip.
const CompressedSuffix = ".gz"

func List[S ~string](names []S, prefix string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(prefix + string(name))
	}
	return b.String()
}

// formatOf reads a name's extension: answers.CSV.gz is a csv, compressed.
func formatOf(path string) (f Format, compressed bool) {
	name := strings.ToLower(filepath.Base(path))
	name, compressed = strings.CutSuffix(name, CompressedSuffix)
	return Format(strings.TrimPrefix(filepath.Ext(name), ".")), compressed
}

func directoryError(path string) error {
	return &usage.Error{What: path + " is a directory", Hint: "name a file of questions"}
}

// inputFormat is the format called name, or that of the extension of path. compressed is whether it ends in .gz.
func inputFormat(path, name string) (f Format, compressed bool, err error) {
	switch {
	case name != "":
		f, compressed = formatOf("." + strings.TrimPrefix(name, "."))
		if !slices.Contains(inputFormats, f) {
			return "", false, &usage.Error{
				What: fmt.Sprintf("unknown format %q", name),
				Hint: "--format takes " + List(inputFormats, "") + ", with .gz behind it for a compressed one",
			}
		}
	case path == "-":
		return JSONL, false, nil
	default:
		f, compressed = formatOf(path)
		if !slices.Contains(inputFormats, f) {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return "", false, directoryError(path) // --format would not help
			}
			return "", false, &usage.Error{
				What: path + " has none of the extensions " + List(inputFormats, ".") + extra(f),
				Hint: "say what it is with --format",
			}
		}
	}
	if f == XLSX && compressed {
		return "", false, &usage.Error{
			What: orName(path, name) + ": an .xlsx is compressed in itself",
			Hint: "unpack it with gunzip",
		}
	}
	return f, compressed, nil
}

// extra adds a hint for extensions that are easily confused with ours.
func extra(f Format) string {
	switch f {
	case "xls", "et":
		return " (save it as .xlsx)"
	}
	return ""
}

func orName(path, name string) string {
	if name != "" {
		return "--format " + name
	}
	return path
}

func OutputFormat(path string) (f Format, compressed bool, err error) {
	f, compressed = formatOf(path)
	if !slices.Contains(outputFormats, f) || (f == XLSX || f == Parquet) && compressed {
		return "", false, &usage.Error{
			What: "cannot tell the format of " + path,
			Hint: "end its name in one of " + List(outputFormats, ".") + ", or " + List([]Format{JSONL, JSON, CSV, TSV}, ".") + " with " + CompressedSuffix,
		}
	}
	return f, compressed, nil
}
