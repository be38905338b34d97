package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
)

// notifySignals ends the context at the first signal and calls exit at the second one. Nothing is lost by that: every step
// is noted before it is taken.
//
// The signals stay ours in between. Giving them back would restore what they did when the process began, and a shell
// script starts its background jobs with SIGINT ignored. SIGINT counts even if it was ignored then: a script that is
// interrupted must not leave a process behind that goes on asking, and paying.
func notifySignals(s *terminal.Streams, exit func(code int)) (ctx context.Context, stop func()) {
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
