package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
)

// heedSignals ends the context at the first signal and calls exit at the second one,
// whatever hangs by then: nothing that matters is lost by it, as every step is written
// down before it is taken.
//
// The signals stay ours in between. To give them back after the first would restore
// what they did when the process began, and a shell script begins what it puts into the
// background with SIGINT ignored. For the same reason SIGINT is heeded although it was
// ignored then: a script that is interrupted must not leave somebody behind who goes on
// asking, and paying.
func heedSignals(s *terminal.Streams, exit func(code int)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for range 2 {
			select {
			case <-quit:
				return
			case <-got:
			}
			if ctx.Err() == nil {
				cancel()
				continue
			}
			text := "cozeq: stopped at once\n"
			if s.ErrTTY {
				text = "\n" + text // below the panel
			}
			io.WriteString(s.Err, text)
			exit(exitcode.Interrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(quit)
		<-done
		cancel()
	}
}
