package openai

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/internal/apikey"
)

// Models are the names that stand for bots. A bot that the key of a request may not ask does not exist for it.
type Models struct {
	Aliases map[string]string // names for bots, by their names
}

// Bot is the bot that a model stands for: an alias, the id of a bot, or bot-ID.
func (m *Models) Bot(ctx context.Context, model string) (string, error) {
	bot, known := m.Aliases[model]
	if !known {
		bot = strings.TrimPrefix(model, "bot-")
		known = isID(bot)
	}
	if model == "" {
		return "", Bad("model", "missing_required_parameter", "missing: give the id of a bot%s", m.names(ctx, ", or "))
	}
	if !known || !visible(ctx, bot) {
		return "", &Error{
			Status: http.StatusNotFound, Param: "model", Code: "model_not_found", Retry: RetryNo,
			Message: fmt.Sprintf("the model %.100q does not exist, or this key may not use it: give the id of a bot%s", model, m.names(ctx, ", or ")),
		}
	}
	return bot, nil
}

func visible(ctx context.Context, bot string) bool {
	return apikey.FromContext(ctx).CheckBot(bot) == nil
}

// names lists the aliases that the key may use, for an error.
func (m *Models) names(ctx context.Context, before string) string {
	all := m.list(ctx)
	if len(all) == 0 {
		return ""
	}
	const shown = 10
	if len(all) > shown {
		all = append(all[:shown], "...")
	}
	return before + strings.Join(all, ", ")
}

func (m *Models) list(ctx context.Context) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(m.Aliases)) {
		if visible(ctx, m.Aliases[name]) {
			names = append(names, name)
		}
	}
	return names
}

func isID(s string) bool { return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789") == "" }

func modelObject(id, bot string) Object {
	return Object{"id": id, "object": "model", "created": 0, "owned_by": "coze", "cozeq": Object{"bot_id": bot}}
}

func (h *Handler) listModels(w http.ResponseWriter, r *http.Request) {
	data := []any{}
	for _, name := range h.Models.list(r.Context()) {
		data = append(data, modelObject(name, h.Models.Aliases[name]))
	}
	WriteJSON(w, http.StatusOK, Object{"object": "list", "data": data})
}

func (h *Handler) getModel(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("model")
	bot, err := h.Models.Bot(r.Context(), name)
	if err != nil {
		WriteError(w, err)
		return
	}
	WriteJSON(w, http.StatusOK, modelObject(name, bot))
}
