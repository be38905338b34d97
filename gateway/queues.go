package gateway

func (g *Gateway) queueRoutes() {}
