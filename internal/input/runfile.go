package input

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/parameter"
)

// setFiles takes the files of a workflow's parameter: paths of this machine, to be uploaded, or URLs. A semicolon or a new line
// separates several, which make the parameter a list, as an array does.
func (r *Row) setFiles(p runParam, raw json.RawMessage) error {
	if messages.Kind(raw) == kindNull {
		return nil
	}
	all, err := attachmentsOf(p.typ, raw)
	if err != nil {
		return err
	}
	text, _ := messages.StringOf(raw)
	list := messages.Kind(raw) == "an array" || strings.ContainsAny(text, ";\n")
	for _, a := range all {
		a.param, a.list = p.name, list
		if strings.HasPrefix(a.path, "http://") || strings.HasPrefix(a.path, "https://") {
			a.URL, a.path = a.path, ""
		}
		r.attachments = append(r.attachments, a)
	}
	return nil
}

// withFiles are a run's parameters with those that are files, in the form that Coze wants: the JSON of an id in a string, or a
// URL as it is.
func withFiles(parameters map[string]json.RawMessage, files []attachment) map[string]json.RawMessage {
	if len(files) == 0 {
		return parameters
	}
	lists := make(map[string][]string)
	all := maps.Clone(parameters)
	for _, a := range files {
		text := a.URL
		if text == "" {
			text = parameter.File(a.ID)
		}
		lists[a.param] = append(lists[a.param], text)
		var value any = text
		if a.list {
			value = lists[a.param]
		}
		all[a.param], _ = json.Marshal(value) // texts always encode
	}
	return all
}
