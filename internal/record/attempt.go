package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// Attempt is the right to write one task's result. The newest Begin holds it. It is not safe for concurrent use.
type Attempt struct {
	// Result is the record as this attempt found it, updated with what the attempt writes.
	Result results.Result

	Notes

	// Ended is true if the task had ended before. Only the queue has to learn it.
	Ended bool

	// FencedFor is how long before Begin the attempt that noted AskedAt was fenced, by an owner in between that achieved nothing.
	// 0: this Begin fenced it.
	FencedFor time.Duration

	// Body is what Create was given, as it was encrypted there, if Begin was asked for it.
	Body []byte

	// Over reports whether the task has ended although its record is gone. It is called if a write finds no record: see
	// [Attempt.lost]. nil: no.
	Over func(context.Context) (bool, error)

	store *Store
	owner string
	delta EntryID // of the deltas, the entry that this attempt appended last; zero for none
	again sealedDelta
	known string // the chat that the record names, as far as this attempt knows

	hasFencedAt bool // the record has fenced_at: see begin.lua
	hasTools    bool // the record has tools, which Tools is not where they cannot be read
}

// Notes are what a record holds for the attempts that come.
type Notes struct {
	// Made is true if the record is not its producer's. There was none, and this Begin, an earlier one, or the note of an older
	// attempt has made it from the seed. It was never created, or lost, or deleted after the end.
	Made bool

	// AskedAt is set if an earlier attempt was about to send the question and did not note the outcome.
	AskedAt time.Time

	// CancelRequested is true if the task is to be canceled, as of the last note (Begin, Asking, Created, Wait).
	CancelRequested bool

	// EndedChat is the task's last chat that ended without an answer. Its question may still be in the conversation, and is not
	// the one that AskedAt is about.
	EndedChat string

	// EndedConversation is the conversation of EndedChat, if the task's next chat is in another one.
	EndedConversation string

	// RemovedChat is the ended chat whose question was removed from the conversation, or has to stay there: see EndedChat.
	RemovedChat string

	// Tools is the round of tool calls that was noted last, of the chat that it names. nil: none.
	Tools *ToolRound

	// LogID is Coze's id of the request that made the chat, for its support. Created notes it. A failure that names none gets
	// this one.
	LogID string

	// Waits counts the waits since the last ask that ended in anything else.
	Waits int

	// WaitingSince is when the wait for a busy conversation began; zero if the task waits for anything else.
	WaitingSince time.Time

	kept bool  // see Entry
	keep int64 // seconds to keep the result once it has ended; 0 = the store's default
}

// Begin takes a task up: it becomes running, and older attempts may not write any more. The seed fills the record if it is
// gone. It is one round trip, two then; along adds commands of the caller to the first.
func (s *Store) Begin(ctx context.Context, seed results.Result, withBody bool, along ...func(redis.Cmdable)) (*Attempt, error) {
	owner := newOwner()
	if seed.CreatedAt.IsZero() {
		seed.CreatedAt = results.At(time.Now())
	}
	seed.Status = results.Running
	body := "0"
	if withBody {
		body = "1"
	}
	args := []any{owner, results.At(time.Now()).String(), seconds(openTTL), body}
	keys := []string{results.Key(seed.ID), results.BodyKey(seed.ID)}
	reply, err := s.run(ctx, beginScript, keys, args, along...).Slice()
	if err == nil && len(reply) == 0 { // the record is gone
		reply, err = s.run(ctx, beginScript, keys, append(args, seed.Seal(s.results.Keys, seed.ID).Fields()...)).Slice()
	}
	if err != nil {
		return nil, fmt.Errorf("begin %s: %w", seed.ID, results.KeyFault(results.Key(seed.ID), err))
	}
	hash := pairs(reply[0])
	r := parse(seed.ID, hash, s.results.Keys)
	a := &Attempt{Result: r.Result, Notes: r.Notes, Ended: r.Status.Terminal(), store: s, owner: owner, known: r.ChatID, hasFencedAt: hash["fenced_at"] != "", hasTools: hash["tools"] != ""}
	if a.keep == 0 {
		a.keep = seconds(s.results.Keep)
	}
	if len(reply) > 2 {
		text, _ := reply[1].(string)
		a.Body = []byte(text)
		fenced, _ := reply[2].(int64)
		a.FencedFor = time.Duration(max(fenced, 0)) * time.Millisecond
	}
	return a, nil
}

// update writes for the owner; chatID is the chat that it writes, "" for none.
func (a *Attempt) update(ctx context.Context, chatID string, asking bool, drop, set []any, along ...func(redis.Cmdable)) error {
	args := append(make([]any, 0, 7+len(drop)+len(set)), a.owner, 0, seconds(openTTL), a.known, chatID, asking, len(drop))
	args = append(append(args, drop...), set...)
	ok, err := a.write(ctx, updateScript, []string{results.Key(a.Result.ID)}, args, along...)
	if err != nil {
		return fmt.Errorf("update %s: %w", a.Result.ID, err)
	}
	if ok == taken {
		return a.take(ctx)
	}
	a.CancelRequested = ok == 2
	return nil
}

// take takes the chat over that a fenced attempt has given, and returns ErrChatGiven.
func (a *Attempt) take(ctx context.Context) error {
	now, err := a.store.rdb.HMGet(ctx, results.Key(a.Result.ID), "conversation_id", "chat_id").Result()
	if err != nil {
		return fmt.Errorf("read the chat of %s: %w", a.Result.ID, err)
	}
	a.Result.ConversationID, _ = now[0].(string)
	a.Result.ChatID, _ = now[1].(string)
	a.known, a.AskedAt = a.Result.ChatID, time.Time{}
	return fmt.Errorf("%s: %w", a.Result.ID, ErrChatGiven)
}

// write runs a script for the owner alone, and a second time if it finds no record and may make it again. The script's first
// two arguments are the owner and that permission.
func (a *Attempt) write(ctx context.Context, script *redis.Script, keys []string, args []any, along ...func(redis.Cmdable)) (int, error) {
	ok, err := a.store.run(ctx, script, keys, args, along...).Int()
	if err == nil && ok == gone {
		if err = a.lost(ctx); err == nil {
			args[1] = 1
			ok, err = a.store.run(ctx, script, keys, args).Int()
		}
	}
	if err == nil && ok == fenced {
		err = ErrFenced
	}
	return ok, results.KeyFault(keys[0], err)
}

// Replies of update.lua and finish.lua, as record.lua names them.
const (
	gone   = -1
	fenced = 0
	taken  = 3 // of update.lua
	stale  = 4 // of finish.lua
)

// lost decides what a missing record means: nil, and this attempt may make it again; or ErrFenced.
//
// Redis may have lost it: it was flushed, or failed over to a replica that lagged. The chat is paid for, and its answer is
// worth a new record. Or the task has ended:
//
//  1. Worker A stands still (a paused VM, SIGSTOP). Its lease lapses, and worker B takes the task up and ends it.
//  2. A run has the answer in its journal. It marks the row in the batch and then deletes the record, and with it the owner
//     that would fence A.
//  3. A continues and writes. A record made now would be a second end: a second message on the channel, and a record that
//     is never collected.
//
// The row is marked before the record is deleted (batches.Client.Release), and the batch outlives the record. So Over asks the
// batch. A chat runs for minutes; what remains is a window of one round trip: A would have to stand still between the batch's
// "no" and its write, while B ends the task and the run collects it. A tombstone instead of the record would close that
// window for as long as it lives, for 100 bytes a row of every run.
func (a *Attempt) lost(ctx context.Context) error {
	if a.Over == nil {
		return nil
	}
	over, err := a.Over(ctx)
	if err == nil && over {
		err = ErrFenced
	}
	return err
}

func (a *Attempt) Owned(ctx context.Context) (bool, error) {
	now, err := a.store.rdb.HMGet(ctx, results.Key(a.Result.ID), "owner", "status").Result()
	switch {
	case err != nil:
		return false, fmt.Errorf("read owner of %s: %w", a.Result.ID, err)
	case now[1] != nil:
		return now[0] == a.owner, nil
	}
	err = a.lost(ctx)
	if errors.Is(err, ErrFenced) {
		return false, nil
	}
	return err == nil, err
}

// Asking notes that the question is about to be sent in this conversation. From now until Created, Wait or Finish it is not
// known whether Coze took it. The next attempt finds AskedAt set, and must find out before it asks again. along adds commands
// of the caller to the same round trip.
//
// ErrChatGiven means that an attempt that this one has fenced asked the question after all. Then nothing is noted, and Result
// names that chat.
func (a *Attempt) Asking(ctx context.Context, conversationID string, along ...func(redis.Cmdable)) error {
	now := results.At(time.Now())
	a.Result.ConversationID, a.Result.ChatID, a.AskedAt = conversationID, "", now.Time
	set := []any{"asked_at", now.String()}
	if conversationID != "" {
		set = append(set, "conversation_id", conversationID)
	}
	if a.Result.TraceParent != "" {
		set = append(set, "traceparent", a.Result.TraceParent)
	}
	if a.RemovedChat != "" {
		set = append(set, "removed_chat", a.RemovedChat)
	}
	var drop []any // only what is there: Redis looks as long for what is not
	for _, f := range []struct {
		name  string
		there bool
	}{{"chat_id", a.known != ""}, {"logid", a.LogID != ""}, {"fenced_at", a.hasFencedAt}, {"tools", a.hasTools}} {
		if f.there {
			drop = append(drop, f.name)
		}
	}
	a.LogID, a.Tools = "", nil
	err := a.update(ctx, "", true, drop, set, along...)
	if err == nil {
		a.known, a.hasFencedAt, a.hasTools = "", false, false
	}
	return err
}

// Created notes the chat that now runs for this task, and LogID. The conversation's id can differ from the one that was asked
// in.
func (a *Attempt) Created(ctx context.Context, conversationID, chatID string) error {
	a.Result.ConversationID, a.Result.ChatID, a.AskedAt = conversationID, chatID, time.Time{}
	set := []any{"chat_id", chatID}
	if a.Result.WorkflowID != "" && conversationID == "" { // a run, whose id is the chat's, and no chatflow's chat
		set = append(set, "execute_id", chatID)
	} else {
		set = append(set, "conversation_id", conversationID)
	}
	if a.LogID != "" {
		set = append(set, "logid", a.LogID)
	}
	err := a.update(ctx, chatID, false, []any{"asked_at", "fenced_at"}, set)
	a.known = chatID // also after an error: its reply may have been lost
	return err
}

// Wait parks the task with the reason; a nil reason only gives it back, as a worker that shuts down does. It writes what the
// attempt holds: the conversation, the chat, AskedAt, EndedChat, EndedConversation, RemovedChat, Attempts, Waits,
// PossibleDuplicate, Spent, TraceParent, and what the last chat said before it ended without an answer. So a caller forgets a
// chat by emptying Result.ChatID and AskedAt. along adds commands of the caller to the same round trip; they run even if this
// attempt may not write.
func (a *Attempt) Wait(ctx context.Context, why *results.Failure, along ...func(redis.Cmdable)) error {
	r := results.Result{Status: results.Waiting, Error: why,
		ConversationID: a.Result.ConversationID, ChatID: a.Result.ChatID, Attempts: a.Result.Attempts,
		PossibleDuplicate: a.Result.PossibleDuplicate, Warnings: a.Result.Warnings, Spent: a.Result.Spent,
		TraceParent: a.Result.TraceParent, Sealed: a.Result.Sealed,
		Answer: a.Result.Answer, ContentType: a.Result.ContentType, Parts: a.Result.Parts,
		Reasoning: a.Result.Reasoning, FollowUps: a.Result.FollowUps}
	set := r.Seal(a.store.results.Keys, a.Result.ID).Fields()
	var drop []any
	keep := func(ok bool, name string, values ...any) {
		if ok {
			set = append(set, values...)
		} else {
			drop = append(drop, name)
		}
	}
	keep(r.Answer != "", "answer")
	keep(r.ContentType != "", "content_type")
	keep(len(r.Parts) > 0, "parts")
	keep(r.Reasoning != "", "reasoning")
	keep(len(r.FollowUps) > 0, "follow_ups")
	keep(r.ConversationID != "", "conversation_id")
	keep(r.ChatID != "", "chat_id")
	keep(r.ChatID != "", "tools")
	keep(!a.AskedAt.IsZero(), "asked_at", "asked_at", results.At(a.AskedAt).String())
	keep(a.EndedChat != "", "ended_chat", "ended_chat", a.EndedChat)
	keep(a.EndedConversation != "", "ended_conversation", "ended_conversation", a.EndedConversation)
	keep(a.RemovedChat != "", "removed_chat", "removed_chat", a.RemovedChat)
	keep(a.Waits > 0, "waits", "waits", a.Waits)
	keep(!a.WaitingSince.IsZero(), "waiting_since", "waiting_since", results.At(a.WaitingSince).String())
	return a.update(ctx, r.ChatID, false, drop, set, along...)
}

// Finish ends the task: a.Result, whose Status must be terminal, goes to the hash and to the channel. It sets CompletedAt.
// stream says that the task has a stream of deltas, which gets its end. along adds commands of the caller to the same round
// trip; they run even if this attempt may not write.
func (a *Attempt) Finish(ctx context.Context, stream bool, along ...func(redis.Cmdable)) error {
	if !a.Result.Status.Terminal() {
		return fmt.Errorf("finish %s: %q is not a terminal status", a.Result.ID, a.Result.Status)
	}
	a.Result.CompletedAt = results.At(time.Now())
	for {
		ok, err := a.finish(ctx, stream, along...)
		if err == nil && ok == stale {
			err = a.merge(ctx)
		}
		if err != nil {
			return fmt.Errorf("finish %s: %w", a.Result.ID, err)
		}
		if ok != stale {
			return nil
		}
	}
}

// merge reads what other attempts have noted about their chats since this one began.
func (a *Attempt) merge(ctx context.Context) error {
	all, err := a.store.rdb.HGet(ctx, results.Key(a.Result.ID), "other_chat_ids").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	a.Result.OtherChatIDs = nil
	if all != "" {
		if err := json.Unmarshal([]byte(all), &a.Result.OtherChatIDs); err != nil {
			return fmt.Errorf("other_chat_ids: %w", err)
		}
	}
	a.Result.PossibleDuplicate = a.Result.PossibleDuplicate || all != ""
	return nil
}

func (a *Attempt) finish(ctx context.Context, stream bool, along ...func(redis.Cmdable)) (int, error) {
	sealed := a.Result.Seal(a.store.results.Keys, a.Result.ID)
	message, err := sealed.Encode()
	if err != nil {
		return 0, err
	}
	hasDeltas, keepBody := "0", "0"
	if stream {
		hasDeltas = "1"
	}
	if a.Result.Status == results.Failed || a.kept {
		keepBody = "1"
	}
	id := a.Result.ID
	r := *sealed
	if a.kept {
		r.CustomID, r.BotID, r.UserID = "", "", ""
		if r.Lane == "" { // a turn leaves its lane by the queue's name
			r.Queue = ""
		}
	}
	others := ""
	if len(r.OtherChatIDs) > 0 {
		list, err := json.Marshal(r.OtherChatIDs)
		if err != nil {
			return 0, err
		}
		others = string(list)
	}
	fields := r.Fields()
	args := append(make([]any, 0, 10+len(fields)), a.owner, 0, a.keep, results.Channel(id), message, hasDeltas, keepBody, a.known, r.ChatID, others)
	args = append(args, fields...)
	return a.write(ctx, finishScript, []string{results.Key(id), results.BodyKey(id), results.DeltasKey(id)}, args, along...)
}
