package coze

import (
	"context"
	"encoding/json"
	"net/http"
)

// ChatRate asks how many calls of the chat API a second the account's plan allows. 0 means that Coze did not tell. The
// call takes a permission of its own, which many tokens lack. What holds at a moment can be less: see the rate codes.
// Errors are [*Error].
func (c *Client) ChatRate(ctx context.Context) (float64, error) {
	var data struct {
		Info []struct {
			ResourceID text `json:"resource_id"`
			Type       text `json:"benefit_type"`
			Effective  struct {
				Item struct {
					Total integer `json:"total"`
				} `json:"item_info"`
			} `json:"effective"`
		} `json:"benefit_info"`
	}
	var raw json.RawMessage
	err := c.call(ctx, call{
		op: "benefits/get", method: http.MethodGet, path: "/v1/commerce/benefit/benefits/get",
		query: "benefit_type_list=api_run_qps&resource_id=chat",
	}, &raw)
	if err != nil || json.Unmarshal(raw, &data) != nil {
		return 0, err // a form that is not known tells nothing
	}
	for _, b := range data.Info {
		if b.Type == "api_run_qps" {
			return float64(max(0, b.Effective.Item.Total)), nil
		}
	}
	return 0, nil
}
