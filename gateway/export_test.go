package gateway

import "github.com/danielgtaylor/huma/v2"

// OpenAPI is the document that is served.
func (g *Gateway) OpenAPI() *huma.OpenAPI { return g.api.OpenAPI() }
