package coze

import (
	"context"
	"encoding/json"
	"net/http"
)

// Plan is an account's plan at Coze.
type Plan struct {
	Level    string  `json:"level,omitempty"`     // free, pro_personal, team, enterprise; "" = unknown
	ChatRate float64 `json:"chat_rate,omitempty"` // calls of the chat API a second; 0 = unknown
}

// Plan reads the account's plan. The call needs the permission getBenefit, which many tokens lack.
// Errors are [*Error].
func (c *Client) Plan(ctx context.Context) (Plan, error) {
	var data struct {
		Basic struct {
			Level text `json:"user_level"`
		} `json:"basic_info"`
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
		return Plan{}, err // an unknown form is no error
	}
	plan := Plan{Level: string(data.Basic.Level)}
	for _, b := range data.Info {
		if b.Type == "api_run_qps" {
			plan.ChatRate = float64(max(0, b.Effective.Item.Total))
			break
		}
	}
	return plan, nil
}

// ChatRate is how many calls of the chat API a second the account's plan allows, 0 if unknown. At a given moment Coze may
// allow less: see the rate codes. Errors are those of Plan.
func (c *Client) ChatRate(ctx context.Context) (float64, error) {
	plan, err := c.Plan(ctx)
	return plan.ChatRate, err
}
