package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/upload"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

const submitText = `Takes a file in any format that cozeq run reads: as the body, with its Content-Type, or as the part named file of a form. All
of it is checked before anything is asked. The parameters are the flags of cozeq batch submit, in the query or as fields of the
form. The id is made of the questions: the same file again adds nothing twice, and completes a submission that was cut.`

// uploadNames are the parameters of a file, as the flags of cozeq batch submit are called.
var uploadNames = []string{
	"format", "question_col", "custom_id_col", "delimiter", "encoding", "sheet", "prompt", "system", "unsupported",
	"bot", "workflow", "chatflow", "app", "param", "credential", "on_turn_failure", "id", "name", "queue", "attempts", "timeout", "keep", "expires_in",
	webhookURL, webhookSecret, toolsParameter,
}

const (
	webhookURL     = "webhook"
	webhookSecret  = "webhook_secret"
	toolsParameter = "tools"
)

func uploadParameters() (all []*huma.Param) {
	for _, name := range uploadNames {
		all = append(all, parameter(name, "query", "as --"+strings.ReplaceAll(name, "_", "-")+" of cozeq batch submit"))
	}
	for name, text := range map[string]string{
		"name":         "of the file; that of the form if it is missing",
		webhookURL:     "URL that gets the counts posted at the end, by Standard Webhooks",
		webhookSecret:  "name of the secret that signs",
		toolsParameter: "client-side tools of the bots for all questions, as JSON: as tools of a task",
	} {
		all[slices.Index(uploadNames, name)].Description = text
	}
	return all
}

// parameters names in an error what the command line calls flags.
var parameters = strings.NewReplacer(func() (pairs []string) {
	for _, name := range uploadNames {
		pairs = append(pairs, "--"+strings.ReplaceAll(name, "_", "-"), name)
	}
	return pairs
}()...)

// formats are those of media types. One that is not here needs format, or a name with an extension.
var formats = map[string]string{
	"text/csv": "csv", "text/tab-separated-values": "tsv", "application/json": "json", "text/plain": "txt",
	"application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "application/x-jsonlines": "jsonl", "application/jsonlines": "jsonl",
	mediaXLSX: "xlsx",
}

const mediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// postBatch submits a file. A client that hangs up after the file was checked changes nothing: the batch is completed.
func (g *Gateway) postBatch(w http.ResponseWriter, r *http.Request) error {
	f, err := upload.Receive(r, g.MaxUpload)
	if err != nil {
		return err
	}
	defer f.Close()
	given := r.URL.Query()
	for name, values := range f.Fields {
		given[name] = append(given[name], values...)
	}
	how, spec, err := g.uploadOptions(r.Context(), f, given)
	if err != nil {
		return err
	}
	in, err := input.Open("-", how)
	if err != nil {
		return err
	}
	b, already, err := g.submitFile(r.Context(), in, spec, webhook.Target{URL: given.Get(webhookURL), Secret: given.Get(webhookSecret), Tenant: spec.Tenant})
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	out, status := g.batchReply(r.Context(), b), http.StatusAccepted
	if out.Already = already; already {
		status = http.StatusOK
	}
	w.Header().Set("Location", batchesPath+"/"+b.ID)
	writeJSON(w, status, out)
	return nil
}

func (g *Gateway) uploadOptions(ctx context.Context, f *upload.File, given url.Values) (how input.Options, spec batches.Spec, err error) {
	for name, values := range given {
		if !slices.Contains(uploadNames, name) {
			return how, spec, fault(http.StatusUnprocessableEntity, "unknown parameter %.60q: known are %s", name, strings.Join(uploadNames, ", "))
		}
		if len(values) > 1 && name != "param" {
			return how, spec, fault(http.StatusUnprocessableEntity, "%s is given %d times", name, len(values))
		}
	}
	key := apikey.FromContext(ctx)
	how = input.Options{
		Format: given.Get("format"), QuestionCol: given.Get("question_col"), CustomIDCol: given.Get("custom_id_col"),
		Delimiter: given.Get("delimiter"), Encoding: given.Get("encoding"), Sheet: given.Get("sheet"), Prompt: given.Get("prompt"),
		System: given.Get("system"), Unsupported: given.Get("unsupported"), Stdin: f, BotID: given.Get("bot"),
		Credential: given.Get("credential"), OnTurnFailure: given.Get("on_turn_failure"),
	}
	if how.BotID == "" {
		how.BotID = g.BotID
	}
	flows := input.Flows{Workflow: given.Get("workflow"), Chatflow: given.Get("chatflow"), App: given.Get("app"), Params: given["param"]}
	if err := flows.Apply(&how, given.Get("bot")); err != nil {
		return how, spec, err
	}
	if how.Credential == "" && key != nil {
		how.Credential = key.Credential
	}
	spec = batches.Spec{ID: given.Get("id"), Name: given.Get("name"), Queue: given.Get("queue"), Tenant: key.Tenant()}
	if spec.Name == "" {
		spec.Name = f.Name
	}
	if how.Tools, err = g.batchTools(given.Get(toolsParameter), spec.Tenant); err != nil {
		return how, spec, err
	}
	how.Allow = func(chat *tasks.Chat) error { return g.submit.Allow(key, chat, spec.Queue) }
	if how.Format == "" {
		how.Format, err = formatOf(f)
	}
	var expires time.Duration
	for _, d := range []struct {
		name string
		to   *time.Duration
	}{{"timeout", &spec.Timeout}, {"keep", &spec.Keep}, {"expires_in", &expires}} {
		if text := given.Get(d.name); text != "" && err == nil {
			if *d.to, err = flags.ParseDuration(text); err != nil || *d.to < time.Second {
				err = fault(http.StatusUnprocessableEntity, "%s: %.60q, want a duration like 90s, 15m or 7d", d.name, text)
			}
		}
	}
	if text := given.Get("attempts"); text != "" && err == nil {
		if spec.Attempts, err = strconv.Atoi(text); err != nil || spec.Attempts < 1 {
			err = fault(http.StatusUnprocessableEntity, "attempts: %.60q, want a number above 0", text)
		}
	}
	if expires > 0 {
		spec.ExpiresAt = time.Now().Add(expires)
	}
	if spec.ID != "" && err == nil {
		err = batches.ValidateID(spec.ID)
	}
	return how, spec, err
}

// mostBatchTools bounds the tools of a batch, in bytes: each row has them.
const mostBatchTools = 2 << 10

func (g *Gateway) batchTools(text, tenant string) (map[string]tasks.ToolWebhook, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > mostBatchTools {
		return nil, fault(http.StatusUnprocessableEntity, "%s: %d bytes, want at most %d: each question has a copy", toolsParameter, len(text), mostBatchTools)
	}
	var targets map[string]webhookTarget
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&targets); err != nil {
		return nil, fault(http.StatusUnprocessableEntity, `%s: want JSON like {"get_weather": {"url": "https://example.com/weather"}}: %v`, toolsParameter, err)
	}
	tools := toolsOf(targets)
	return tools, g.checkTools(tenant, tools)
}

func formatOf(f *upload.File) (string, error) {
	if parts := strings.Split(strings.ToLower(f.Name), "."); len(parts) > 1 {
		last := parts[len(parts)-1]
		if last == "gz" {
			return "", fault(http.StatusUnsupportedMediaType, "a .gz file: send it unpacked, or as the body with Content-Encoding: gzip")
		}
		return last, nil
	}
	if format := formats[f.Type]; format != "" {
		return format, nil
	}
	return "", fault(http.StatusUnsupportedMediaType, "Content-Type %.100q does not tell the format: say it with format=jsonl, json, csv, tsv, xlsx or txt", f.Type)
}

// submitFile puts a file into the queue, if all of it may be asked.
func (g *Gateway) submitFile(ctx context.Context, in *input.Input, spec batches.Spec, hook webhook.Target) (*batches.Status, bool, error) {
	if hook != (webhook.Target{Tenant: spec.Tenant}) {
		if err := g.webhook.Check(hook); err != nil {
			return nil, false, err
		}
	}
	stats, err := in.Check(ctx)
	if err != nil {
		return nil, false, err
	}
	if spec.ID == "" { // two tenants with the same file have a batch each
		spec.ID = batchfile.BatchID(strings.TrimSpace(in.Identity()+" "+spec.Tenant), 1)
	}
	_, err = g.batches.Get(ctx, spec.ID)
	switch {
	case errors.Is(err, batches.ErrNotFound):
		size := batches.Size{Rows: stats.Rows, Text: stats.Text, Columns: stats.Carried, Sealed: g.batches.Encrypts()}
		if room, err := g.batches.Room(ctx); err == nil {
			if err := room.Hold(batches.Estimate(size)); err != nil {
				return nil, false, err
			}
		}
		if err := g.submit.Limits.AdmitBatch(ctx, apikey.FromContext(ctx), spec.ID, stats.Rows); err != nil {
			return nil, false, err
		}
	case err != nil:
		return nil, false, err
	}
	if hook.URL != "" { // before the first question: a batch that ends at once is told of, too
		if err := g.webhook.Schedule(ctx, webhook.Batch, spec.ID, hook); err != nil {
			return nil, false, err
		}
	}
	s := &batchfile.Submission{Input: in, Batches: g.batches, Batch: spec}
	return s.Run(context.WithoutCancel(ctx))
}

// resultMedia are the formats of results with their media types, the default first.
var resultMedia = []struct{ format, media string }{
	{"jsonl", "application/x-ndjson"}, {"json", "application/json"}, {"csv", "text/csv; charset=utf-8"},
	{"tsv", "text/tab-separated-values; charset=utf-8"}, {"xlsx", mediaXLSX},
	{"parquet", "application/vnd.apache.parquet"},
}

func (g *Gateway) batchResults(w http.ResponseWriter, r *http.Request) error {
	b, err := g.batch(r)
	if err != nil {
		return err
	}
	if b.Kind == batches.KindRun {
		return fault(http.StatusConflict, "%s", batches.ErrIsRun)
	}
	format, media := resultFormat(r)
	if media == "" {
		return fault(http.StatusNotAcceptable, "results are written as jsonl, json, csv, tsv, xlsx or parquet: say which with format=")
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": b.ID + "." + format}))
	d := &batchfile.Detached{Batch: b, Batches: g.batches, Results: g.Tasks.Results()}
	err = d.Encode(r.Context(), w, input.Format(format))
	if err == nil || callOf(r.Context()).status == 0 {
		if err != nil {
			w.Header().Del("Content-Disposition")
		}
		return err
	}
	// The status has gone out: a client must not take what it has for the whole.
	g.Logger.Error("the results of a batch could not be sent to their end", "batch", b.ID, "error", err)
	panic(http.ErrAbortHandler)
}

// resultFormat is the format that a request wants; media is empty if there is no such format.
func resultFormat(r *http.Request) (format, media string) {
	if want := r.URL.Query().Get("format"); want != "" {
		for _, m := range resultMedia {
			if m.format == want {
				return m.format, m.media
			}
		}
		return "", ""
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		want, _, _ := mime.ParseMediaType(part)
		for _, m := range resultMedia {
			if known, _, _ := mime.ParseMediaType(m.media); known == want {
				return m.format, m.media
			}
		}
	}
	return resultMedia[0].format, resultMedia[0].media
}

// shownProblems bounds the lines that an answer names.
const shownProblems = 1000

// batchProblem is problemOf for what only files and batches have.
func batchProblem(err error) *problem {
	if invalid, ok := errors.AsType[*input.InvalidInput](err); ok {
		p := fault(http.StatusUnprocessableEntity, "the file is wrong in %d places, see errors; nothing was asked", invalid.Total)
		for _, one := range invalid.Problems[:min(len(invalid.Problems), shownProblems)] {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: parameters.Replace(one.What), Location: fmt.Sprintf("line %d", one.Line)})
		}
		return p
	}
	if e, ok := errors.AsType[*batchfile.TakenError](err); ok {
		return fault(http.StatusConflict, "batch %s is there, and was made of other questions: choose another id", e.ID)
	}
	if e, ok := errors.AsType[*usage.Error](err); ok {
		return fault(http.StatusUnprocessableEntity, "%s", parameters.Replace(e.Error()))
	}
	if e, ok := errors.AsType[*upload.MalformedError](err); ok {
		return fault(http.StatusBadRequest, "%s", e)
	}
	if e, ok := errors.AsType[*upload.TooLargeError](err); ok {
		return fault(http.StatusRequestEntityTooLarge, "%s", e)
	}
	if e, ok := errors.AsType[*upload.DiskError](err); ok {
		return fault(http.StatusInsufficientStorage, "%s", e)
	}
	if e, ok := errors.AsType[*batches.NoRoomError](err); ok {
		p := fault(http.StatusServiceUnavailable, "%s", e)
		p.retryAfter = time.Minute
		return p
	}
	if errors.Is(err, batches.ErrIsRun) || errors.Is(err, batches.ErrCanceled) {
		return fault(http.StatusConflict, "%s", err)
	}
	return problemOf(err)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
