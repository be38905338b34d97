package charset_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/cozeq/cozeq/internal/charset"
)

var (
	little = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	big    = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
)

func encoded(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	s, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sniff(t testing.TB, content string) charset.Found {
	t.Helper()
	found, err := charset.Sniff(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t testing.TB, content string, e charset.Encoding) string {
	t.Helper()
	text, err := io.ReadAll(charset.NewReader(strings.NewReader(content), e))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Texts that people have, short ones above all: the shorter, the less there is to tell by.
var texts = map[string]string{
	"a word":        "你好",
	"a question":    "怎么退货?",
	"a table":       "custom_id,question\n001,怎么退货？\n002,\"他说:\"\"你好\"\",可以吗？\"\n",
	"json":          `{"question":"北京今天的天气怎么样？"}` + "\n",
	"traditional":   "請問這個產品的價格是多少？可以開發票嗎？謝謝您的幫助，我們會儘快處理這個問題。\n",
	"mixed":         "Go 语言里 goroutine 和 thread 有什么区别?\nWhat is 泛型?\n",
	"rare names":    "名单：朱镕基、王喆、李堃、陈㙓\n",
	"lian tong":     "联通\n",
	"english first": strings.Repeat("An English question, number one?\n", 9000) + "最后一个问题\n",
}

func TestChineseIsFound(t *testing.T) {
	for name, text := range texts {
		for _, test := range []struct {
			name   string
			bytes  string
			want   charset.Encoding
			marked int
		}{
			{"utf-8", text, charset.UTF8, 0},
			{"utf-8 with a mark", "\ufeff" + text, charset.UTF8, 3},
			{"gb18030", encoded(t, simplifiedchinese.GB18030, text), charset.GB18030, 0},
			{"gb18030 with a mark", encoded(t, simplifiedchinese.GB18030, "\ufeff"+text), charset.GB18030, 4},
			{"utf-16le with a mark", encoded(t, little, "\ufeff"+text), charset.UTF16LE, 2},
			{"utf-16be with a mark", encoded(t, big, "\ufeff"+text), charset.UTF16BE, 2},
		} {
			found := sniff(t, test.bytes)
			if found.Encoding != test.want || found.Mark != test.marked {
				t.Errorf("%s in %s: found %+v, want %s", name, test.name, found, test.want)
			}
			if got := read(t, test.bytes[found.Mark:], found.Encoding); got != text {
				t.Errorf("%s in %s: read %.80q", name, test.name, got)
			}
		}
		if !strings.Contains(text, "\n") {
			continue // without one there is nothing by which UTF-16 could be told
		}
		if found := sniff(t, encoded(t, little, text)); found.Encoding != charset.UTF16LE {
			t.Errorf("%s in utf-16le: found %+v", name, found)
		}
		if found := sniff(t, encoded(t, big, text)); found.Encoding != charset.UTF16BE {
			t.Errorf("%s in utf-16be: found %+v", name, found)
		}
	}
}

// TestOthersAreNotTakenForChinese: they are said to be UTF-8, which they are not, so that the file is refused.
func TestOthersAreNotTakenForChinese(t *testing.T) {
	german := "Größe, Straße, für Mädchen; Übergröße: 40 Stück\n"
	french := "Où est le café? Élève, garçon, forêt, naïve\n"
	russian := "Какая погода сегодня в Москве? Сколько стоит доставка?\n"
	for name, content := range map[string]string{
		"german":        encoded(t, charmap.Windows1252, german),
		"one word":      encoded(t, charmap.Windows1252, "Grüße"),
		"french":        encoded(t, charmap.ISO8859_1, french),
		"russian":       encoded(t, charmap.Windows1251, russian),
		"big5":          encoded(t, traditionalchinese.Big5, texts["traditional"]),
		"shift jis":     encoded(t, japanese.ShiftJIS, "今日の天気はどうですか？返品の方法を教えてください。\n"),
		"half and half": "question\nok\n\xc3\xbcber\n\xfcber\n",
		"broken":        "{\"question\":\"\xff\"}\n",
		"broken late":   texts["a table"] + "\xe4\xbd\n" + texts["a table"],
		"picture":       "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00",
	} {
		if found := sniff(t, content); found.Encoding != charset.UTF8 {
			t.Errorf("%s: found %+v", name, found)
		}
		if utf8.ValidString(content) && name != "picture" {
			t.Errorf("%s is valid UTF-8: this shows nothing", name)
		}
	}
	// And these are UTF-8, though their bytes might be Chinese.
	for _, content := range []string{german, french, russian, "да", "Ναι;", "é", "naïve", "¿Qué?", "שלום", "ok"} {
		if found := sniff(t, content); found.Encoding != charset.UTF8 {
			t.Errorf("%s: found %+v", content, found)
		}
	}
}

// TestNearlyUTF16: a stray NUL, and what else has NULs, makes no UTF-16 of a file.
func TestNearlyUTF16(t *testing.T) {
	gb := func(text string) string { return encoded(t, simplifiedchinese.GB18030, text) }
	for name, test := range map[string]struct {
		content string
		want    charset.Encoding
	}{
		"a stray NUL":                {"question\nhi\x00there\n", charset.UTF8}, // 煵敳瑩潮 in UTF-16BE
		"a stray NUL, odd length":    {"question\nhi\x00 there\n", charset.UTF8},
		"a stray NUL before an end":  {"question\nhello there\x00\n", charset.UTF8},
		"a stray NUL behind an end":  {"question\nhello there\n\x00hi\n.", charset.UTF8},
		"a NUL at each end":          {"question\nhi\x00\nthere\x00\n", charset.UTF8},
		"a stray NUL in Chinese":     {"question\n怎么退货？\x00\n", charset.UTF8},
		"a stray NUL in GB18030":     {gb("question\n怎么退货？\x00\n可以吗？\n"), charset.GB18030},
		"a NUL at each end, GB18030": {gb("怎么退货\x00\n可以吗\x00\n你好\x00\n"), charset.GB18030}, // Korean in UTF-16BE
		"apart by NULs":              {"one\x00two\x00three\x00", charset.UTF8},
		"padded with NULs":           {"one\x00\x00\x00\x00\x00\ntwo\x00\x00\x00\x00\x00\n", charset.UTF8},
		"broken UTF-8 with a NUL":    {"question\nüber die\x00Größe\n\xfcber\nwas\n", charset.UTF8},
		"a NUL far behind":           {strings.Repeat("what is it?\n", 9000) + "\x00\n\x00\n\x00\n\x00\n", charset.UTF8},
		"Windows-1252 with a NUL":    {encoded(t, charmap.Windows1252, "Frage\nGröße,Straße\x00\nfür Mädchen\x00\nÜbergröße 40 Stück\n"), charset.UTF8},

		"short":                     {encoded(t, little, "a\n"), charset.UTF16LE},
		"short, in Chinese":         {encoded(t, big, "怎么退货？\n"), charset.UTF16BE},
		"characters with NULs":      {encoded(t, little, "question\n一一一,一\n一上一下\n"), charset.UTF16LE},
		"characters with LF and CR": {encoded(t, big, "上海上海,退货吊桶\n"), charset.UTF16BE},
		"bytes that are ASCII":      {encoded(t, little, "x,y\n中文,ok\n"), charset.UTF16LE},
		"Russian":                   {encoded(t, big, "Какая погода сегодня?\n"), charset.UTF16BE},
		"Korean":                    {encoded(t, big, "안녕하세요\n배송은 얼마나 걸리나요?\n"), charset.UTF16BE},
	} {
		if found := sniff(t, test.content); found.Encoding != test.want {
			t.Errorf("%s: found %s, want %s", name, found.Encoding, test.want)
		}
	}
}

// TestChineseThatIsUTF8ByChance: each of these, in GB18030, is valid UTF-8 too.
func TestChineseThatIsUTF8ByChance(t *testing.T) {
	for _, text := range []string{"恰", "耍", "拢拢恰"} {
		content := encoded(t, simplifiedchinese.GB18030, text)
		if !utf8.ValidString(content) {
			t.Fatalf("%s is no valid UTF-8: this shows nothing", text)
		}
		if found := sniff(t, content); found.Encoding != charset.GB18030 {
			t.Errorf("%s: found %+v", text, found)
		}
	}
}

func TestUnreadableIsMarked(t *testing.T) {
	for _, test := range []struct {
		encoding charset.Encoding
		bytes    string
	}{
		{charset.GB18030, "\xc4\xe3\xff\xba\xc3"},
		{charset.GB18030, "\xc4\xe3\xba"},
		{charset.UTF16LE, "a\x00\x00\xd8b\x00"},
		{charset.UTF16BE, "\x00a\xdc\x00"},
		{charset.UTF16LE, "a\x00b"},
	} {
		if text := read(t, test.bytes, test.encoding); utf8.ValidString(text) {
			t.Errorf("%s %q is read as %q", test.encoding, test.bytes, text)
		}
	}
	// U+FFFD itself is a character like any other.
	for e, enc := range map[charset.Encoding]encoding.Encoding{
		charset.UTF8: encoding.Nop, charset.GB18030: simplifiedchinese.GB18030, charset.UTF16LE: little, charset.UTF16BE: big,
	} {
		const text = "a\ufffd你"
		if got := read(t, encoded(t, enc, text), e); got != text {
			t.Errorf("%s: %q", e, got)
		}
	}
}

func TestReadsInAnyPieces(t *testing.T) {
	text := strings.Repeat(texts["mixed"]+"😀 ", 5000)
	for e, enc := range map[charset.Encoding]encoding.Encoding{
		charset.GB18030: simplifiedchinese.GB18030, charset.UTF16LE: little, charset.UTF16BE: big,
	} {
		content := encoded(t, enc, text)
		got, err := io.ReadAll(charset.NewReader(iotest.OneByteReader(strings.NewReader(content)), e))
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes of %d, %v", e, len(got), len(text), err)
		}
		found, err := charset.Sniff(iotest.HalfReader(strings.NewReader(content)))
		if err != nil || found.Encoding != e {
			t.Errorf("%s in pieces: found %+v, %v", e, found, err)
		}
	}
	if _, err := charset.Sniff(iotest.ErrReader(io.ErrClosedPipe)); err != io.ErrClosedPipe {
		t.Errorf("a reader's error: %v", err)
	}
}

func TestParse(t *testing.T) {
	for name, want := range map[string]charset.Encoding{
		"UTF-8": charset.UTF8, "gbk": charset.GB18030, "GB_2312": charset.GB18030, "gb18030": charset.GB18030,
		"UTF-16LE": charset.UTF16LE, "utf16be": charset.UTF16BE,
	} {
		if e, err := charset.Parse(name); err != nil || e != want {
			t.Errorf("%s: %s, %v", name, e, err)
		}
	}
	for _, name := range []string{"utf-16", "big5", ""} {
		if e, err := charset.Parse(name); err == nil {
			t.Errorf("%q is taken for %s", name, e)
		}
	}
}

// FuzzSniff: whatever the bytes are, they have one encoding, read the same in any pieces, and Sniff can live with it.
func FuzzSniff(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add([]byte(text))
			f.Add([]byte(encoded(f, simplifiedchinese.GB18030, text)))
			f.Add([]byte(encoded(f, little, text)))
			f.Add([]byte(encoded(f, big, "\ufeff"+text)))
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := charset.Sniff(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		again, err := charset.Sniff(iotest.OneByteReader(bytes.NewReader(content)))
		if err != nil || again != found {
			t.Fatalf("found %+v, then %+v, %v", found, again, err)
		}
		rest := content[found.Mark:]
		whole, err := io.ReadAll(charset.NewReader(bytes.NewReader(rest), found.Encoding))
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := io.ReadAll(charset.NewReader(iotest.OneByteReader(bytes.NewReader(rest)), found.Encoding))
		if err != nil || utf8.Valid(whole) != utf8.Valid(pieces) || utf8.Valid(whole) && !bytes.Equal(whole, pieces) {
			t.Fatalf("%s: read %q, in pieces %q, %v", found.Encoding, whole, pieces, err)
		}
	})
}
