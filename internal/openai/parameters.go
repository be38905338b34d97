package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/usage"
)

// docs/openai.md has these lists, and a test holds it to them.

var ignored = map[string][]string{ChatAPI: messages.ChatSettings, ResponsesAPI: messages.ResponsesSettings}

// unsupported are the parameters that ask for what no bot can be asked for. Each is let through with the values for which it
// asks for nothing.
var unsupported = map[string]map[string]func(json.RawMessage) bool{
	ChatAPI: {
		"tools": never, "tool_choice": isOneOf(`"auto"`, `"none"`), "functions": never, "function_call": isOneOf(`"auto"`, `"none"`),
		"n": isOneOf("1"), "logprobs": isOneOf("false"), "top_logprobs": isOneOf("0"), "response_format": messages.IsText,
		"modalities": isOneOf(`["text"]`), "audio": never, "web_search_options": never,
	},
	ResponsesAPI: {
		"tools": never, "tool_choice": isOneOf(`"auto"`, `"none"`), "top_logprobs": isOneOf("0"), "text": messages.IsText, "prompt": never,
		"context_management": never, "moderation": never,
	},
}

// instead says why a parameter cannot be had, and what to do instead.
var instead = map[string]string{
	"tools":           "a bot's plugins and workflows are set up at Coze and cannot be given in a request",
	"functions":       "a bot's plugins and workflows are set up at Coze and cannot be given in a request",
	"n":               "a bot gives one answer: send the request several times",
	"response_format": "a bot answers in text: ask for the format in the question or in the bot's prompt",
	"text":            "a bot answers in text: ask for the format in the question or in the bot's prompt",
	"prompt":          "a bot has its prompt at Coze: use custom_variables to fill it",
}

// own are the parameters with a meaning here, by API. The extensions are the same for both.
var own = map[string][]string{
	ChatAPI:      {"model", "messages", "stream", "stream_options", "user", "safety_identifier", "metadata", "store"},
	ResponsesAPI: {"model", "input", "instructions", "stream", "stream_options", "user", "safety_identifier", "metadata", "store", "background", "previous_response_id", "conversation"},
}

var extensions = []string{
	"conversation_key", "conversation_id", "custom_variables", "parameters", "extra_params", "auto_save_history",
	"on_turn_failure", "queue", "expires_at", "cozeq",
}

func never(json.RawMessage) bool { return false }

func isOneOf(values ...string) func(json.RawMessage) bool {
	return func(raw json.RawMessage) bool { return slices.Contains(values, string(raw)) }
}

// checkName decides about a parameter that is not our own. It returns nil for one that is ignored.
func checkName(api, name string, raw json.RawMessage) error {
	if slices.Contains(ignored[api], name) || messages.Nothing(raw) {
		return nil
	}
	if harmless, known := unsupported[api][name]; known {
		if harmless(raw) {
			return nil
		}
		why := instead[name]
		if why == "" {
			why = "a bot cannot be asked for it"
		}
		return Bad(name, "unsupported_parameter", "%.60s is not supported with %s: %s", raw, api, why)
	}
	known := slices.Concat(own[api], extensions)
	message := fmt.Sprintf("unknown parameter %.60q: docs/openai.md has the list", name)
	if near := usage.Nearest(name, known); near != "" {
		message = fmt.Sprintf("unknown parameter %.60q: did you mean %s?", name, near)
	}
	return Bad(name, "unknown_parameter", "%s", message)
}

// Parameters are the names of the parameters by the section of docs/openai.md that explains them.
func Parameters() map[string][]string {
	var refused []string
	for _, names := range unsupported {
		refused = slices.AppendSeq(refused, maps.Keys(names))
	}
	return map[string][]string{
		"Parameters that are ignored": slices.Concat(ignored[ChatAPI], ignored[ResponsesAPI]),
		"Parameters that are refused": refused,
		"Extensions":                  extensions,
	}
}
