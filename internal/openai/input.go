package openai

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/tasks"
)

// maxInput bounds the input that is kept for input_items, in bytes of JSON. The queue forgets a question at its end, and a long
// one is not worth a second copy in Redis for a day.
const maxInput = 64 << 10

// How many items of an input are on a page, as OpenAI has it.
const (
	inputPage    = 20
	maxInputPage = 100
)

// inputItems serves GET /v1/responses/{id}/input_items: what the bot was asked.
func (h *Handler) inputItems(w http.ResponseWriter, r *http.Request) {
	n, result, ok := h.find(w, r)
	if !ok {
		return
	}
	page, err := ParsePage(r.URL.Query(), inputPage, maxInputPage)
	if err == nil && n.Input == nil {
		err = &Error{
			Status: http.StatusNotFound, Param: "response_id", Code: "input_not_kept",
			Message: fmt.Sprintf("the input of this response is longer than %d KiB, and is not kept", maxInput>>10),
		}
	}
	items := make([]Object, len(n.Input))
	for i, m := range n.Input {
		items[i] = inputItem(fmt.Sprintf("%s%s_%d", messagePrefix, result.ID, i), &m)
	}
	if !page.Ascending {
		slices.Reverse(items)
	}
	if err == nil && page.After != "" {
		i := slices.IndexFunc(items, func(o Object) bool { return o["id"] == page.After })
		if i < 0 {
			err = Bad("after", "invalid_value", "%.100q is no item of this input", page.After)
		}
		items = items[i+1:]
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	more := len(items) > page.Limit
	WriteJSON(w, http.StatusOK, List(items[:min(len(items), page.Limit)], more))
}

func inputItem(id string, m *tasks.Message) Object {
	text, files := messages.Parts(m)
	content := []Object{}
	switch {
	case m.Role == messages.Assistant:
		content = append(content, textPart(text))
	case text != "":
		content = append(content, Object{"type": "input_text", "text": text})
	}
	for _, f := range files {
		if f.Kind == messages.Image {
			content = append(content, Object{"type": "input_image", "detail": "auto", "image_url": OrNull(f.URL), "file_id": OrNull(f.ID)})
			continue
		}
		file := Object{"type": "input_file"}
		if f.URL != "" {
			file["file_url"] = f.URL
		} else {
			file["file_id"] = f.ID
		}
		content = append(content, file)
	}
	return Object{"id": id, "type": "message", "status": "completed", "role": m.Role, "content": content}
}
