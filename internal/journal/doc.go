// Package journal is a run's memory on disk: which rows have ended, with which record, and how far the chats of the others
// have come.
//
// A journal is lines of JSON, appended with one write each:
//
//	{"cozeq":"run","version":1,"run":RUN,"input":{"sha256","rows","format",...}}        the first line
//	{"cozeq":"chat","row":N,"bot_id","conversation_id","conversation_key","chat_id","asked_at"}  a chat in flight
//	{"cozeq":"retry","row":N,"ask":K,"usage"}                           the row's record is void, its task is RUN-N.K
//	{"cozeq":"spent","row":N,"usage"}                    what the row was billed beyond the usage in its record, above
//	{"cozeq":"fed","row":N}                              rows up to this one may be in a shared Redis
//	{"cozeq":"upload","content","file_id","at"}          a file that was uploaded, by its content
//	{"cozeq":"limits","limits":{...}}                    rates that were learnt, by credential
//	{"id":"RUN-N","custom_id",...}                                      a record, exactly as in a .jsonl OUTPUT
//
// The line of a chat is written before its question is sent, and again when the chat's id is known. A process that is
// killed loses nothing that was written. Loss of power may take the last second, as the file is synced once a second:
// the questions of that second may then be asked twice. The file is locked, so two runs cannot write it.
//
// In memory a row costs 8 bytes, the offset of its record.
package journal
