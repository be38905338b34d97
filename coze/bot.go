package coze

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Bot is what a caller may want to know about a published bot.
type Bot struct {
	ID      string `json:"bot_id"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"` // the published one
	Model   string `json:"model,omitempty"`   // name of the model
	// Callable says that the bot is published to the API channel. It is false where Coze says only that it is published.
	Callable bool `json:"callable"`
}

// UnmarshalJSON reads a bot as Coze sends it.
func (b *Bot) UnmarshalJSON(raw []byte) error {
	var w struct {
		ID      ident           `json:"bot_id"`
		Name    text            `json:"name"`
		Version text            `json:"version"`
		Model   json.RawMessage `json:"model_info"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	var model struct {
		Name text `json:"model_name"`
	}
	if json.Unmarshal(w.Model, &model) != nil {
		model.Name = "" // unknown form
	}
	*b = Bot{ID: string(w.ID), Name: string(w.Name), Version: string(w.Version), Model: string(model.Name)}
	return nil
}

// PublishedBot reads the published version of a bot, which costs nothing. The call needs the permission getMetadata, which
// many tokens lack: they get an [*Error] of [ClassAuth], which says nothing about the bot. Errors are [*Error].
func (c *Client) PublishedBot(ctx context.Context, id string) (*Bot, error) {
	if id == "" {
		return nil, invalid("bot/get_online_info", "the bot's id is empty")
	}
	bot := new(Bot)
	err := c.call(ctx, call{
		op: "bot/get_online_info", method: http.MethodGet, path: "/v1/bot/get_online_info",
		query: "bot_id=" + url.QueryEscape(id),
	}, bot)
	bot.Callable = err == nil // this call knows only bots of the API channel
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && e.Code == codeParameter {
		// Coze plans to remove that call. Its successor does not tell the channels apart.
		err = c.call(ctx, call{
			op: "bots/retrieve", method: http.MethodGet, path: "/v1/bots/" + id, query: "is_published=true",
		}, bot)
	}
	if err != nil {
		return nil, err
	}
	keepString(&bot.ID, id)
	return bot, nil
}
