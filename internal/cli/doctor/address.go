package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/site"
)

// noBot is said where no bot is set. Workers do without: the questions in their queues name one.
func (d *doctor) noBot() finding {
	name := checkName("setting", "COZE_BOT_ID")
	const none = "none is set, so each question has to name its bot"
	if d.cfg.Shared() {
		return well(name, none)
	}
	return warned(name, settings.MissingBot().How, none)
}

// address tells whether a worker could serve its --http: on the address that is set, with a shared Redis also on the
// default one.
func (d *doctor) address(ctx context.Context) []finding {
	const name = "http.address"
	def := ""
	if d.cfg.Shared() {
		def = settings.DefaultHTTP
	}
	addr, err := d.cfg.HTTP(def)
	if err != nil || addr == "" {
		return nil // the setting says what is wrong
	}
	_, source := d.cfg.Lookup(settings.HTTP, "")
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		l.Close()
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && isCozeq(ctx, addr):
		return []finding{well(name, "a cozeq process serves %s; another one on this machine needs another --http", addr)}
	case errors.Is(err, syscall.EADDRINUSE) && source == settings.FromDefault: // and maybe no worker is wanted here
		return []finding{warned(name, "give another --http, or off", "another program has %s: a worker would not start", addr)}
	case errors.Is(err, syscall.EADDRINUSE):
		return []finding{failed(name, "give another --http, or off", "another program has %s: a worker would not start", addr)}
	}
	return []finding{failed(name, "give another --http, or off", "a worker would not start: %v", err)}
}

// isCozeq asks for /healthz of what listens there.
func isCozeq(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+site.Reachable(tcp)+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := coze.NoRedirects(&http.Client{}).Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64))
	return resp.StatusCode == http.StatusOK && string(body) == "ok\n"
}
