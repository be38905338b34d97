// Package health is the command health: a health check for containers that hold this program and nothing else.
package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// timeout is like those of the container engines.
const timeout = 3 * time.Second

// Options are what the command line says.
type Options struct {
	Settings settings.Config
	URL      string // "": /healthz at --http
}

func New(s *terminal.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health [URL]",
		Short: "Check the health of a worker, serve, dashboard or mock",
		Long: `Asks a worker, serve, dashboard or mock over HTTP for its health, and exits with 0
if it is healthy and 1 if not. It is meant for health checks of containers, whose
image has no curl.

Without URL it asks /healthz at --http, by default the worker's address. Any
answer other than a server error (5xx) counts as healthy.`,
		Example: `  cozeq health
  cozeq health http://127.0.0.1:9464/readyz`,
		Args: misuse.CheckArgs(0, 1, "URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), &Options{settings.Of(cmd, s), strings.Join(args, "")})
		},
	}
	settings.AddFlags(cmd, settings.HTTP)
	http := cmd.Flags().Lookup(settings.HTTP)
	http.Usage, http.DefValue = "ask the server at `HOST:PORT`", settings.DefaultHTTP
	return cmd
}

func run(ctx context.Context, o *Options) error {
	if o.URL != "" {
		return check(ctx, o.URL)
	}
	addr, err := o.Settings.HTTP(settings.DefaultHTTP)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return misuse.Errorf(o.Settings.Cmd, "--%s is %q: name a URL", settings.HTTP, addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return check(ctx, "http://"+net.JoinHostPort(host, port)+"/healthz")
}

func check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // a proxy would answer for itself
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 500 {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
