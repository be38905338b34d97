package gateway

import (
	"cmp"
	"context"
	_ "embed"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/results"
)

// document is the OpenAPI document without its operations.
func document(version string, keys bool) huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[results.Time](), reflect.TypeFor[time.Time]())
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "cozeq", Version: cmp.Or(version, "dev"), Description: "Questions for Coze bots, through a queue: paid once, limited together, " +
				"found again after a crash. Errors are application/problem+json (RFC 9457)."},
			Components: &huma.Components{Schemas: registry},
			Tags: []*huma.Tag{{Name: "Tasks", Description: "One question, one id"}, {Name: "Batches", Description: "Files of questions"},
				{Name: "Failed", Description: "Failed tasks"}, {Name: "Queues", Description: "For operators"}},
		},
		OpenAPIPath: "/openapi", Formats: huma.DefaultFormats, DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
	}
	if keys {
		c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", Description: "an API key of the operator's"}}
		c.Security = []map[string][]string{{"key": {}}}
	}
	return c
}

// operation has what all operations share. Their bodies are bounded before huma sees them: see bound.
func (g *Gateway) operation(method, path, id, tag, summary, description string) huma.Operation {
	failed := &huma.Response{Description: "an error, as RFC 9457 has it", Content: map[string]*huma.MediaType{
		problemType: {Schema: schemaOf[problem](g.api.OpenAPI().Components.Schemas, "Problem")},
	}}
	return huma.Operation{Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: description,
		MaxBodyBytes: -1, BodyReadTimeout: -1, SkipValidateBody: true, Responses: map[string]*huma.Response{"default": failed}}
}

// raw is register for what huma would hold back or have in memory. Whatever is served under /api/v1 comes through one of the two,
// so that the document has it.
func (g *Gateway) raw(mux *http.ServeMux, op huma.Operation, serve http.HandlerFunc) {
	g.api.OpenAPI().AddOperation(&op)
	mux.HandleFunc(op.Method+" "+op.Path, serve)
}

// register is huma.Register, with errors turned into problems.
func register[I, O any](g *Gateway, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(g.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}

func schemaOf[T any](r huma.Registry, name string) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, name)
}

func jsonBody(s *huma.Schema) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: s}}}
}

func jsonResponse(description string, s *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: s}}}
}

//go:embed reference.html
var referencePage []byte

// reference is a page that shows the OpenAPI document and loads nothing from elsewhere.
func (g *Gateway) reference(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
	_, _ = w.Write(referencePage)
}
