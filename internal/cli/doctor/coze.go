package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// coze checks the connection to each base URL once, and then each credential.
func (d *doctor) coze(ctx context.Context) []finding {
	if d.account.Base == "" {
		return []finding{skipped("coze.connect", "there is no base URL that could be asked")}
	}
	asking := d.account.Others
	if d.asks && d.account.Name == "" {
		asking = append([]settings.Credential{d.account.Credential}, asking...)
	}
	if len(asking) == 0 {
		return []finding{skipped("coze.connect", "there is no token to ask with")}
	}
	var bases []string
	for _, c := range asking {
		if !slices.Contains(bases, c.Base) {
			bases = append(bases, c.Base)
		}
	}
	// For each base URL the connection is checked first, then its credentials, all at the same time.
	found := make([][]finding, len(bases))
	var all sync.WaitGroup
	for i, base := range bases {
		var here []settings.Credential
		for _, c := range asking {
			if c.Base == base {
				here = append(here, c)
			}
		}
		subject := ""
		if u, err := url.Parse(base); base != d.account.Base && err == nil {
			subject = u.Host
		}
		all.Go(func() { found[i] = d.region(ctx, subject, base, here) })
	}
	all.Wait()
	return slices.Concat(found...)
}

func (d *doctor) region(ctx context.Context, subject, base string, here []settings.Credential) []finding {
	found, open := route(ctx, d.cfg.Agent(), subject, base, slices.ContainsFunc(here, isApp))
	if open {
		found = append(found, d.accepted(ctx, here)...)
	}
	return found
}

func isApp(c settings.Credential) bool {
	_, ok := c.Token.(*oauth.Source)
	return ok
}

func (d *doctor) accepted(ctx context.Context, credentials []settings.Credential) []finding {
	found := make([][]finding, len(credentials))
	var all sync.WaitGroup
	for i, c := range credentials {
		all.Go(func() { found[i] = d.ask(ctx, c) })
	}
	all.Wait()
	return slices.Concat(found...)
}

// ask asks Coze whether it accepts one credential. None of the calls costs anything.
func (d *doctor) ask(ctx context.Context, c settings.Credential) []finding {
	transport := coze.NewTransport(2)
	defer transport.CloseIdleConnections()
	limited, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	client := c.Over(coze.NoRedirects(&http.Client{Transport: transport}))
	name := checkName("coze.token", c.Name)
	if err := client.Check(limited); err != nil {
		if e, ok := errors.AsType[*coze.Error](err); ok && e.Class == coze.ClassEndpoint {
			return []finding{
				failed(checkName("coze.api", c.Name), e.Hint(), "%s: %v", exitcode.WayFault(e.Class), e),
				skipped(name, "it was not asked for"),
			}
		}
		return []finding{refusedToken(name, err)}
	}
	shown := "accepted"
	if id, err := client.Identity(limited); err == nil {
		shown += "; its hash in pauses, limits and metrics is " + id
	}
	found := []finding{well(name, "%s", shown)}
	codes, err := settings.AcceptedHere(c.Codes)
	if err == nil {
		c.Codes = codes
		client = c.Over(client.HTTP)
	}
	var who, bot []finding
	var all sync.WaitGroup
	all.Go(func() { who = d.whose(limited, client, c.Name) })
	if c.Name == d.account.Name { // others have bots of their own
		ids := map[string]string{}
		if models, err := d.cfg.Models(); err == nil {
			ids = models
		}
		if id := d.cfg.Text(settings.Bot, ""); id != "" {
			ids[""] = id
		}
		bot = make([]finding, len(ids))
		for i, alias := range slices.Sorted(maps.Keys(ids)) {
			all.Go(func() { bot[i] = lookBot(limited, client, checkName("coze.bot", alias), ids[alias]) })
		}
	}
	all.Wait()
	return append(append(found, who...), bot...)
}

// refusedToken distinguishes a token that Coze refuses from a check that could not be made.
func refusedToken(name string, err error) finding {
	e, ok := errors.AsType[*coze.Error](err)
	switch {
	case !ok:
		return failed(name, "", "could not be checked: %v", err)
	case e.Class == coze.ClassAuth:
		return failed(name, e.Hint(), "refused: %v", e)
	}
	return failed(name, e.Hint(), "could not be checked: %v", e)
}

// whose names the account and its plan, as far as the token may read them.
func (d *doctor) whose(ctx context.Context, client *coze.Client, subject string) []finding {
	name := checkName("coze.account", subject)
	var parts []string
	if me, err := client.Me(ctx); err == nil && me.ID != "" {
		who := "user " + me.ID
		if me.Name != "" {
			who += " (" + terminal.Short(me.Name, 60) + ")"
		}
		parts = append(parts, who)
	}
	plan, err := client.Plan(ctx)
	if err == nil && plan.Level != "" {
		parts = append(parts, "plan "+terminal.Short(plan.Level, 40))
	}
	if err == nil && plan.ChatRate > 0 {
		parts = append(parts, fmt.Sprintf("%v calls of the chat API a second", plan.ChatRate))
	}
	if len(parts) == 0 {
		return []finding{skipped(name, "this token may not ask whose it is and what the plan allows")}
	}
	shown := strings.Join(parts, ", ")
	if rate, err := d.cfg.Rate(); err == nil && plan.ChatRate > 0 && rate > plan.ChatRate {
		return []finding{warned(name, "set COZEQ_RATE to less, or not at all: the limit is learnt", "%s: COZEQ_RATE is more", shown)}
	}
	return []finding{well(name, "%s", shown)}
}

func lookBot(ctx context.Context, client *coze.Client, name, id string) finding {
	bot, err := client.PublishedBot(ctx, id)
	if err == nil {
		shown := terminal.Short(id, 64)
		if bot.Name != "" {
			shown = terminal.Short(bot.Name, 60) + " (" + shown + ")"
		}
		shown += " is published"
		if bot.Callable {
			shown += " to the API channel"
		} else {
			shown += ", to which channels Coze does not tell"
		}
		if bot.Model != "" {
			shown += "; its model is " + terminal.Short(bot.Model, 60)
		}
		return well(name, "%s", shown)
	}
	e, ok := errors.AsType[*coze.Error](err)
	switch {
	case !ok, e.Class == coze.ClassInvalid:
		return failed(name, "", "%s: %v", terminal.Short(id, 64), err)
	case e.Class == coze.ClassAuth && e.Scope != coze.ScopeBot:
		return skipped(name, "this token may not look bots up (permission getMetadata), so the first question will tell: %v", e)
	case e.Scope == coze.ScopeBot:
		return failed(name, e.Hint(), "%s cannot be asked: %v", terminal.Short(id, 64), e)
	}
	return skipped(name, "%s could not be looked up: %v", terminal.Short(id, 64), e)
}
