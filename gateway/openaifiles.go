package gateway

import (
	"net/http"

	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/openaibatch"
)

// openAIFiles serves OpenAI's Files and Batches.
func (g *Gateway) openAIFiles(mux *http.ServeMux) {
	h := openaibatch.New(openaibatch.Config{
		Decoder: openai.Decoder{Models: openai.Models{Aliases: g.Models}, System: g.System},
		Submit:  g.submit, Tasks: g.Tasks, MaxFile: g.MaxUpload, Log: g.Logger,
	})
	for _, path := range []string{"/v1/files", "/v1/files/", "/v1/batches", "/v1/batches/"} {
		mux.Handle(path, h)
	}
}
