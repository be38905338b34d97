package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams are what a command reads and writes, and what it knows of them.
type streams struct {
	In       io.Reader
	Out, Err io.Writer

	OutTTY, ErrTTY bool
	Width          int // columns of the terminal, 80 where there is none
	Color          bool

	Env func(name string) (value string, set bool)
}

const defaultWidth = 80

func systemStreams() streams {
	s := streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Width:  defaultWidth,
		Env:    os.LookupEnv,
	}
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			s.Width = w
			break
		}
	}
	s.Color = wantsColor(s.Env)
	return s
}

// wantsColor heeds NO_COLOR, set to anything but nothing, and a dumb terminal.
func wantsColor(env func(string) (string, bool)) bool {
	no, _ := env("NO_COLOR")
	kind, _ := env("TERM")
	return no == "" && kind != "dumb"
}

// paint is an ANSI attribute of text.
type paint string

const (
	bold   paint = "1"
	dim    paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
)

// color paints text where the stream is a terminal that takes colour.
func (s *streams) color(tty bool, p paint, text string) string {
	if !tty || !s.Color || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}
