package cozetest

import (
	"net/http"
	"slices"
)

// benefits answers with the account's bounds as far as they concern chats: the
// calls a second. Documented at developer_guides/get_benefit.
func (x *exchange) benefits() {
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	rate := f.bucket.rate
	f.mu.Unlock()
	total := int64(20) // the free plan's
	if rate > 0 {
		total = max(int64(rate), 1)
	}
	x.reply(func(dst []byte) []byte {
		item := `{"status":"valid","item_info":{"used":0,"total":` + formatID(total) + `,"start_at":0,"end_at":0,"strategy":"by_quota"}}`
		dst = append(dst, `,"data":{"basic_info":{"user_level":"free"},"benefit_info":[{"resource_id":"chat","benefit_type":"api_run_qps","basic":`...)
		dst = append(append(dst, item...), `,"effective":`...)
		return append(append(dst, item...), `,"extra":[]}]}`...)
	})
}

// me answers whom the token stands for: for all tokens the same one. Coze's SDKs
// know the call.
func (x *exchange) me() {
	if !x.met("") {
		return
	}
	id := formatID(x.fake.cfg.firstID())
	x.reply(func(dst []byte) []byte {
		dst = appendString(append(dst, `,"data":{"user_id":`...), id)
		return append(dst, `,"user_name":"mock","nick_name":"Mock","avatar_url":""}`...)
	})
}

// onlineInfo answers what is published of a bot. Documented at
// developer_guides/get_metadata; how a bot that there is not is refused is not.
func (x *exchange) onlineInfo() {
	id := x.r.URL.Query().Get("bot_id")
	x.entry.BotID = id
	if !x.met("") {
		return
	}
	if bots := x.fake.cfg.Bots; id == "" || len(bots) > 0 && !slices.Contains(bots, id) {
		x.refuse(refuse(codeResource, "").at(http.StatusNotFound))
		return
	}
	x.reply(func(dst []byte) []byte {
		dst = appendString(append(dst, `,"data":{"bot_id":`...), id)
		dst = appendString(append(dst, `,"name":`...), "Mock bot "+id)
		return append(dst, `,"description":"","icon_url":"","create_time":1715689059,"update_time":1716388526,"version":"1716388526000","bot_mode":0,"model_info":{"model_id":"1706077826","model_name":"mock"}}`...)
	})
}
