package doctor

import (
	"context"
	"iter"
	"log/slog"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/settings"
)

// doctor makes the checks of one command line.
type doctor struct {
	cfg     settings.Config
	environ func() []string
	output  string // of a run: "" is this directory
	logger  *slog.Logger

	remote  *remoteredis.Server // nil: none is set, or not one that can be used
	account settings.Account    // as far as it could be read
	asks    bool                // there is a credential to ask with
	keys    []*apikey.Key       // of those who may call 'cozeq serve'
}

func (d *doctor) close() {
	if d.remote != nil {
		d.remote.Client.Close()
	}
}

// look makes all checks and yields their findings, always in the same order. Checks that do not need each other run at the
// same time.
func (d *doctor) look(ctx context.Context) iter.Seq[[]finding] {
	return func(yield func([]finding) bool) {
		if !yield(d.settings(ctx)) {
			return
		}
		var stations []<-chan []finding
		for _, station := range []func(context.Context) []finding{d.redis, d.coze, d.disk} {
			found := make(chan []finding, 1)
			stations = append(stations, found)
			go func() { found <- station(ctx) }()
		}
		for _, found := range stations {
			if !yield(<-found) {
				return
			}
		}
	}
}
