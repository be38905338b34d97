package textfile_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/textfile"
)

func in(order binary.AppendByteOrder, text string) string {
	var raw []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		raw = order.AppendUint16(raw, unit)
	}
	return string(raw)
}

func TestDecode(t *testing.T) {
	for _, text := range []string{"", "pat_abc\r\n", `{"4013":"rate"}`, "请翻译😀\n"} {
		for name, raw := range map[string]string{
			"utf-8":           text,
			"utf-8 and mark":  "\ufeff" + text,
			"utf-16le":        in(binary.LittleEndian, "\ufeff"+text),
			"utf-16be":        in(binary.BigEndian, "\ufeff"+text),
			"mark in the end": text + "\ufeff",
		} {
			want := text
			if name == "mark in the end" && text != "" {
				want = raw // only the first one is a mark
			}
			if got, err := textfile.Decode([]byte(raw)); err != nil || string(got) != want {
				t.Errorf("%s %q: %q, %v", name, text, got, err)
			}
		}
	}
	for name, raw := range map[string]string{
		"utf-16 without a mark": in(binary.LittleEndian, "pat_abc"),
		"a NUL":                 "pat\x00abc",
		"a NUL in utf-16":       in(binary.LittleEndian, "\ufeffa\x00b"),
		"half a character":      "\xff\xfea\x00b",
		"half a pair":           "\xff\xfe\x3d\xd8a\x00",
		"half a pair at last":   "\xff\xfea\x00\x3d\xd8",
	} {
		if got, err := textfile.Decode([]byte(raw)); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("s\x00e\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := textfile.Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no name in %v", err)
	}
	if err := os.Truncate(path, textfile.MaxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := textfile.Read(path); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a file without end: %v", err)
	}
}

// FuzzDecode: what is read has no mark and no NUL, and UTF-16 becomes valid UTF-8.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00"))
	f.Add([]byte("\xef\xbb\xbfa"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := textfile.Decode(bytes.Clone(raw))
		if err != nil {
			return
		}
		if bytes.IndexByte(text, 0) >= 0 || len(raw) > 1 && (raw[0] == 0xff && raw[1] == 0xfe) && !utf8.Valid(text) {
			t.Errorf("%q is read as %q", raw, text)
		}
	})
}
