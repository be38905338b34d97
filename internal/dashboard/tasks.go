package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// task serves one task. asynqmon's page shows the result of a completed task only; for any other task it is put below the
// question in the payload's place.
func (h *handler) task(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	var t object
	if rep.status != http.StatusOK || json.Unmarshal(rep.body, &t) != nil || !ours(t.text("type")) {
		rep.send(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), redisTimeout)
	defer cancel()
	id, payload := t.text("id"), []byte(t.text("payload"))
	chat, unopened := opened(h.Results.Keys, id, payload)
	var status, question, answer, fields sheet
	record, err := h.Results.Get(ctx, id)
	switch {
	case err == nil:
		if record.Sealed != nil {
			status.fact("result", record.Sealed.Error())
		}
		record = record.Readable()
		status.status(record)
		if chat != nil && chat.BotID != "" {
			record.BotID = "" // is among the payload's fields
		}
		answer.answer(record)
		t.tellError(record.Error)
	case errors.Is(err, results.ErrNotFound):
		status.fact("status", "no record: no worker has begun it, or its time is over")
	default:
		status.fact("status", "the record cannot be read: "+err.Error())
	}
	switch {
	case chat == nil:
		question.fact("no question", unopened.Error())
		question.block("payload", string(payload))
	case unopened != nil:
		question.fact("question", unopened.Error())
		fields.fields(payload)
	default:
		question.question(chat, h.body(ctx, id, chat))
		if readable, err := json.Marshal(chat); err == nil && h.Results.Keys != nil {
			payload = readable
		}
		fields.fields(payload)
	}
	if t.text("state") == "completed" {
		if err == nil {
			t.set("result", joined(&status, &answer))
		}
		t.set("payload", joined(&question, &fields))
	} else {
		t.set("payload", joined(&status, &question, &answer, &fields))
	}
	sendJSON(w, t)
}

func ours(typ string) bool { return typ == tasks.TypeChat || typ == tasks.TypeWorkflow }

// body inserts messages that are stored outside the payload, or says why it cannot.
func (h *handler) body(ctx context.Context, id string, chat *tasks.Chat) (unread string) {
	if !chat.HasBody() {
		return ""
	}
	body, err := h.Redis.Get(ctx, results.BodyKey(id)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return "not kept any more: long questions go with the task's end"
	case err != nil:
		return "cannot be read: " + err.Error()
	}
	if err := chat.OpenBody(h.Results.Keys, id, body); err != nil {
		return "cannot be read: " + err.Error()
	}
	return ""
}

// opened is a payload, decrypted if it was encrypted. With an error the chat has the fields that are not encrypted; nil: not
// a payload of cozeq.
func opened(keys *results.Keys, id string, payload []byte) (*tasks.Chat, error) {
	chat, err := tasks.Decode(payload)
	if err != nil {
		return nil, err
	}
	return chat, chat.Open(keys, id)
}

// tellError replaces asynq's shortened error by the record's, decrypted or with the name of the key that it needs.
func (o object) tellError(f *results.Failure) {
	if f != nil && strings.HasSuffix(o.text("error_message"), seal.SaysMore) {
		o.set("error_message", f.Error())
	}
}

// listRunes bounds a text in a list, in characters.
const listRunes = 80

// list serves a page of tasks in one state: one line of each question and of its status. asynqmon has a column for the
// error of failed and waiting tasks and one for the answer of completed ones; canceled and expired tasks are completed
// too, without an answer.
func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	list := r.PathValue("list")
	var page object
	var all []object
	if rep.status != http.StatusOK || !strings.HasSuffix(list, "_tasks") ||
		json.Unmarshal(rep.body, &page) != nil || json.Unmarshal(page["tasks"], &all) != nil {
		rep.send(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), redisTimeout)
	defer cancel()
	ids := make([]string, len(all))
	for i, t := range all {
		ids[i] = t.text("id")
	}
	states := h.states(ctx, ids)
	for i, t := range all {
		if !ours(t.text("type")) {
			continue
		}
		s := listed(h.Results.Keys, ids[i], t.text("payload"))
		if list != "completed_tasks" {
			s.fact("status", states[i].line(false))
			t.tellError(states[i].failure())
		} else if result := t.text("result"); result == "" {
			t.set("result", states[i].line(true))
		} else if seal.Is(result) {
			t.set("result", openedText(h.Results.Keys, ids[i], seal.Summary, result))
		}
		t.set("payload", s.String())
	}
	page.set("tasks", all)
	sendJSON(w, page)
}

func (h *handler) servers(w http.ResponseWriter, r *http.Request) {
	rep := h.ask(r)
	var page object
	var all []object
	if rep.status != http.StatusOK || json.Unmarshal(rep.body, &page) != nil || json.Unmarshal(page["servers"], &all) != nil {
		rep.send(w)
		return
	}
	for _, server := range all {
		var active []object
		if json.Unmarshal(server["active_workers"], &active) != nil {
			continue
		}
		for _, t := range active {
			if ours(t.text("task_type")) {
				t.set("task_payload", listed(h.Results.Keys, t.text("task_id"), t.text("task_payload")).String())
			}
		}
		server.set("active_workers", active)
	}
	page.set("servers", all)
	sendJSON(w, page)
}

// listed is a payload in a list, with the end of the id: asynqmon's column shows an id up to its first hyphen only.
func listed(keys *results.Keys, id, payload string) *sheet {
	s := new(sheet)
	chat, err := opened(keys, id, []byte(payload))
	switch {
	case chat == nil:
		s.fact("payload", cmp.Or(brief(payload, listRunes), "(empty)"))
	case err != nil:
		s.fact("question", "("+brief(err.Error(), listRunes)+")")
	default:
		s.fact("question", cmp.Or(questionBrief(chat), "(empty)"))
	}
	if chat != nil {
		s.fact("conversation_key", chat.ConversationKey)
		s.fact("custom_id", chat.CustomID)
	}
	s.fact("id", id)
	return s
}

// stateChunk is how many records are read in one round trip.
const stateChunk = 500

// state is a task's status by its record.
type state struct{ status, code, class, message string }

func (s state) failure() *results.Failure {
	if s.class == "" {
		return nil
	}
	code, _ := strconv.Atoi(s.code)
	return &results.Failure{Code: code, Class: s.class, Message: s.message}
}

func openedText(keys *results.Keys, id, field, value string) string {
	text, err := keys.Open(id, field, value)
	if err != nil {
		return "(" + brief(err.Error(), listRunes) + ")"
	}
	return text
}

// line is the state on one line, with the error's message or without. The class of a canceled or expired task is its
// status, so it is left out.
func (s state) line(message bool) string {
	if s.class == "" {
		return s.status
	}
	f := results.Failure{Class: s.class, Message: brief(s.message, listRunes)}
	if s.class == s.status && message {
		return f.Error()
	}
	f.Code, _ = strconv.Atoi(s.code)
	if !message {
		f.Message = ""
	}
	return s.status + ", " + f.Error()
}

// states reads the tasks' states, without answers: the page reloads a list of a hundred every few seconds.
func (h *handler) states(ctx context.Context, ids []string) []state {
	all := make([]state, 0, len(ids))
	for chunk := range slices.Chunk(ids, stateChunk) {
		replies := make([]*redis.SliceCmd, len(chunk))
		_, _ = h.Redis.Pipelined(ctx, func(p redis.Pipeliner) error { // each reply has its own error
			for i, id := range chunk {
				replies[i] = p.HMGet(ctx, results.Key(id), "status", "error_code", "error_class", "error_msg")
			}
			return nil
		})
		for i, reply := range replies {
			var fields [4]string
			for i, value := range reply.Val() {
				fields[i], _ = value.(string)
			}
			message := openedText(h.Results.Keys, chunk[i], seal.Error, fields[3])
			all = append(all, state{fields[0], fields[1], fields[2], message})
		}
	}
	return all
}
