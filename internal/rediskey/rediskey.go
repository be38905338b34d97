// Package rediskey names all keys and channels of cozeq in Redis. docs/contract.md has their types, contents and lifetimes.
// asynq's own keys are package asynqx's.
//
// The braces put the keys of one task, lane, batch, queue, credential or tenant into one slot of a Redis Cluster, so that one
// script can change them together.
package rediskey

// Of a task.

func Result(id string) string   { return "cozeq:result:{" + id + "}" }
func Body(id string) string     { return "cozeq:body:{" + id + "}" }
func Deltas(id string) string   { return "cozeq:deltas:{" + id + "}" } // the channel of the pieces, too
func Response(id string) string { return "cozeq:response:{" + id + "}" }
func Waiting(id string) string  { return "cozeq:waiting:{" + id + "}" }

// Done begins the channel of a task's end, which its id follows.
const Done = "cozeq:done:"

// Cancel is the channel of the ids of running tasks to cancel.
const Cancel = "cozeq:cancel"

// Retry is of the newest task with a request, by the request's digest.
func Retry(digest string) string { return "cozeq:retry:{" + digest + "}" }

// Of a conversation.

func Lane(lane string) string             { return "cozeq:lane:{" + lane + "}" }
func LastChat(lane string) string         { return "cozeq:lastchat:{" + lane + "}" }
func Conversation(bot, key string) string { return "cozeq:conversation:{" + bot + ":" + key + "}" }

// Lanes has all lanes that may have members.
const Lanes = "cozeq:lanes"

// Of a batch.

func Batch(id string) string       { return "cozeq:batch:{" + id + "}" }
func BatchStates(id string) string { return Batch(id) + ":states" }
func BatchAsks(id string) string   { return Batch(id) + ":asks" }
func BatchRows(id string) string   { return Batch(id) + ":rows" }

// Batches has the ids of all batches.
const Batches = "cozeq:batches"

// Of a queue. asynqx/enqueue.lua makes the name of QueueWork itself.

func QueuePaused(queue string) string      { return "cozeq:queue:{" + queue + "}:paused" }
func QueueCredentials(queue string) string { return "cozeq:queue:{" + queue + "}:credentials" }
func QueueUnreadable(queue string) string  { return "cozeq:queue:{" + queue + "}:unreadable" }
func QueueTenants(queue string) string     { return "cozeq:queue:{" + queue + "}:tenants" }
func QueueWork(queue string) string        { return "cozeq:queue:{" + queue + "}:work" } // a channel

// Of a credential, which stands for its hash: see coze.Client.Identity.

// Limit and Pause are of the whole credential where bot is empty, else of the bot below it.
func Limit(credential, bot string) string { return ofBot("cozeq:limit:{"+credential+"}", bot) }
func Pause(credential, bot string) string { return ofBot("cozeq:pause:{"+credential+"}", bot) }

func ofBot(key, bot string) string {
	if bot == "" {
		return key
	}
	return key + ":bot:" + bot
}

// Parked is the parked tasks of a pause, by the pause's key.
func Parked(pause string) string { return pause + ":aside" }

func Answered(credential string) string { return "cozeq:answered:{" + credential + "}" }

// Upload is of a file that was uploaded; content is {CREDENTIAL}:SHA256.EXT.
func Upload(content string) string { return "cozeq:upload:" + content }

const (
	Credentials = "cozeq:credentials" // when each was served last: the pause of a token that was replaced would never be probed
	Pauses      = "cozeq:pauses"      // the keys of all pauses
)

// Of a tenant.

func APIKey(tenant, what string) string  { return "cozeq:apikey:{" + tenant + "}:" + what }
func TenantBatches(tenant string) string { return "cozeq:batches:{" + tenant + "}" }
func File(id string) string              { return "cozeq:file:{" + id + "}" }
func FileChunks(id string) string        { return File(id) + ":chunks" }
func Files(tenant string) string         { return "cozeq:files:{" + tenant + "}" }

// Of processes.

func Beat(worker string) string  { return "cozeq:beat:{" + worker + "}" }
func Check(random string) string { return "cozeq:check:{" + random + "}" }

// Sweeper is the lease of the process that does the sweep.
const Sweeper = "cozeq:sweeper"
