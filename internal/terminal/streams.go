// Package terminal is how a command reads and writes: its streams, colours, the width of text with Chinese in it, tables
// that are tab-separated in a pipe, a line of progress, and the log. It knows neither flags nor questions.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Streams are what a command reads and writes, and what it knows of them.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer

	OutTTY, ErrTTY bool
	Width          int // columns of the terminal, 80 where there is none
	Color          bool

	// Size is the current size of stderr's terminal; nil: Width, and any height.
	Size func() (width, height int)

	// Background reports whether another job has that terminal now; nil: none has.
	Background func() bool

	// Hint gives a hint in the user's language; nil: in English.
	Hint func(string) string

	Version string // of the program

	Env     func(name string) (value string, set bool)
	Environ func() []string // all of it, as NAME=VALUE
}

const (
	DefaultWidth  = 80
	defaultHeight = 24
)

func SystemStreams() Streams {
	s := Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Width:  DefaultWidth,
		Env:    lookupEnv, Environ: os.Environ,
		Background: inBackground,
	}
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			s.Width = w
			break
		}
	}
	s.Color = wantsColor(s.Env)
	s.Size = func() (int, int) {
		width, height, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil || width < 1 || height < 1 {
			return s.Width, defaultHeight
		}
		return width, height
	}
	return s
}

// lookupEnv is os.LookupEnv with the value trimmed: a file of variables that Windows has written adds a CR to
// each, and what comes from $(cat FILE) or a web page may begin or end with an invisible mark.
func lookupEnv(name string) (string, bool) {
	value, set := os.LookupEnv(name)
	return Trim(value), set
}

// Trim takes off blanks, line ends, byte order marks and zero-width spaces at both ends.
func Trim(value string) string {
	return strings.TrimFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' })
}

func (s *Streams) Translate(text string) string {
	if s.Hint == nil {
		return text
	}
	return s.Hint(text)
}

func (s *Streams) TerminalSize() (width, height int) {
	if s.Size == nil {
		return s.Width, defaultHeight
	}
	return s.Size()
}

// Dumb reports whether the terminal knows no escape codes.
func (s *Streams) Dumb() bool {
	if s.Env == nil {
		return false
	}
	kind, _ := s.Env("TERM")
	return kind == "dumb"
}

// wantsColor is false if NO_COLOR is not empty, and on a dumb terminal.
func wantsColor(env func(string) (string, bool)) bool {
	no, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	return no == "" && kind != "dumb"
}

// Paint is an ANSI attribute of text.
type Paint string

const (
	Bold   Paint = "1"
	Dim    Paint = "2"
	Red    Paint = "31"
	Green  Paint = "32"
	Yellow Paint = "33"
)

func Plain(text string) string {
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		if !found {
			return text
		}
		_, rest, _ := strings.Cut(after, "m")
		text = before + rest
	}
}

func (s *Streams) Paint(tty bool, p Paint, text string) string {
	if !tty || !s.Color || text == "" || p == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}
