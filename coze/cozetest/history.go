package cozetest

import (
	"slices"
	"strconv"
)

// historyQuery is the body of a conversation's message list.
type historyQuery struct {
	Order    string `json:"order"`
	ChatID   string `json:"chat_id"`
	BeforeID string `json:"before_id"`
	AfterID  string `json:"after_id"`
	Limit    int    `json:"limit"`
	Middle   bool   `json:"include_middle_message"`
}

func (x *exchange) listHistory() {
	id := x.r.URL.Query().Get("conversation_id")
	x.entry.ConversationID = id
	var q historyQuery
	good := x.read(&q, func() *refusal {
		x.entry.ChatID = q.ChatID
		return q.check()
	})
	if !good || !x.met("") {
		return
	}
	x.within(id, func(c *conversation, dst []byte) ([]byte, *refusal) {
		page, more := q.page(c.messages)
		dst = appendMessages(append(dst, `,"data":`...), page)
		first, last := "", ""
		if len(page) > 0 {
			first, last = page[0].id, page[len(page)-1].id
		}
		dst = appendString(append(dst, `,"first_id":`...), first)
		dst = appendString(append(dst, `,"last_id":`...), last)
		return strconv.AppendBool(append(dst, `,"has_more":`...), more), nil
	})
}

func (q *historyQuery) check() *refusal {
	switch {
	case q.Order != "" && q.Order != "asc" && q.Order != "desc":
		return refuse(codeParameter, "order must be asc or desc")
	case q.Limit < 0 || q.Limit > 50:
		return refuse(codeParameter, "limit must be between 1 and 50")
	case q.BeforeID != "" && q.AfterID != "":
		return refuse(codeParameter, "before_id and after_id exclude each other")
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return nil
}

// page picks from a conversation's messages. before_id and after_id are places
// in the order that was asked for: after_id=last_id goes on, before_id=first_id
// goes back.
func (q *historyQuery) page(all []storedMessage) (page []storedMessage, more bool) {
	for _, m := range all {
		if q.ChatID != "" && m.chatID != q.ChatID {
			continue
		}
		if q.Middle || m.kind == "question" || m.kind == "answer" || m.kind == "" {
			page = append(page, m)
		}
	}
	if q.Order != "asc" {
		slices.Reverse(page)
	}
	at := func(id string) int {
		return slices.IndexFunc(page, func(m storedMessage) bool { return m.id == id })
	}
	if q.BeforeID != "" {
		page = page[:max(at(q.BeforeID), 0)]
		if n := len(page) - q.Limit; n > 0 {
			return page[n:], true
		}
		return page, false
	}
	if q.AfterID != "" {
		i := at(q.AfterID)
		if i < 0 {
			return nil, false
		}
		page = page[i+1:]
	}
	if len(page) > q.Limit {
		return page[:q.Limit], true
	}
	return page, false
}
