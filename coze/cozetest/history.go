package cozetest

import (
	"net/http"
	"slices"
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
	var q historyQuery
	r := x.decode(&q)
	if r == nil {
		r = q.check()
	}
	id := x.r.URL.Query().Get("conversation_id")
	x.entry.ConversationID, x.entry.ChatID = id, q.ChatID
	if r != nil {
		x.refuse(r.at(max(r.status, http.StatusBadRequest)))
		return
	}
	if !x.met("") {
		return
	}
	f := x.fake
	f.mu.Lock()
	c := f.conversation(id)
	var page []storedMessage
	var more bool
	if c != nil {
		page, more = q.page(c.messages)
	}
	f.mu.Unlock()
	if c == nil {
		x.refuse(refuse(codeConversation, message(codeConversation)).at(http.StatusBadRequest))
		return
	}
	x.reply(func(dst []byte) []byte {
		dst = append(dst, `,"data":[`...)
		for i := range page {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = page[i].appendStored(dst)
		}
		first, last := "", ""
		if len(page) > 0 {
			first, last = page[0].id, page[len(page)-1].id
		}
		dst = append(dst, `],"first_id":`...)
		dst = appendString(dst, first)
		dst = append(dst, `,"last_id":`...)
		dst = appendString(dst, last)
		if more {
			return append(dst, `,"has_more":true`...)
		}
		return append(dst, `,"has_more":false`...)
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
