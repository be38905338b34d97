package messages

import "slices"

// The parameters of OpenAI's two APIs that only set up a model, or the service around it. A bot has its own settings. A test
// holds docs/openai.md to these lists.
var (
	ChatSettings = slices.Concat(settings, []string{
		"min_p", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "stop",
		"logit_bias", "reasoning_effort", "verbosity", "prediction",
	})
	ResponsesSettings = slices.Concat(settings, []string{
		"max_output_tokens", "max_tool_calls", "reasoning", "truncation", "include",
	})
)

// settings are those of both.
var settings = []string{
	"temperature", "top_p", "top_k", "parallel_tool_calls", "service_tier", "prompt_cache_key", "prompt_cache_retention",
	"prompt_cache_options",
}
