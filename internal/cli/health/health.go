// Package health is the command health: a health check for containers that hold this program and nothing else.
package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// healthTimeout bounds a look, like those of the engines that ask for it.
const healthTimeout = 3 * time.Second

// New is for images that hold this program and nothing else: there is no
// curl in them.
func New(s *terminal.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health [URL]",
		Short: "Check the health of a worker, dashboard or mock",
		Long: `Asks a worker, dashboard or mock over HTTP for its health, and exits with 0 if it
is healthy and 1 if not. It is meant for health checks of containers, whose image
has no curl.

Without URL it asks /healthz at --http, by default the worker's address. Any
answer other than a server error (5xx) counts as healthy.`,
		Example: `  cozeq health
  cozeq health http://127.0.0.1:9464/readyz`,
		Args: misuse.CheckArgs(0, 1, "URL"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return checkHealth(cmd.Context(), args[0])
		}
		addr, err := settings.Of(cmd, s).HTTP(settings.DefaultHTTP)
		if err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return misuse.Errorf(cmd, "--%s is %q: name a URL", settings.HTTP, addr)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return checkHealth(cmd.Context(), "http://"+net.JoinHostPort(host, port)+"/healthz")
	}
	settings.AddFlags(cmd, settings.HTTP)
	http := cmd.Flags().Lookup(settings.HTTP)
	http.Usage, http.DefValue = "ask the server at `HOST:PORT`", settings.DefaultHTTP
	return cmd
}

func checkHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // a proxy's word about itself is of no use
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
