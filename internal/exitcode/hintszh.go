package exitcode

import (
	"strings"

	"github.com/cozeq/cozeq/coze"
)

// HintNoToken is for somebody who has neither token nor bot.
const HintNoToken = "'cozeq run --demo' needs neither token nor bot, and 'cozeq mock' stands in for Coze"

// HintAccepted is what 4200 and 4006 mean once the token is known to be good.
var HintAccepted = coze.Text{
	EN: "The token is accepted here, so it is the bot or workflow: check its id, that it is published (a bot to the API channel), and that the token may use its workspace.",
	ZH: "令牌在这里有效，问题出在智能体或工作流：请检查其 ID，并确认它已发布（智能体须发布到 API 渠道），且令牌有权使用其所在的工作空间。",
}

// hintsZH are cozeq's own hints in Chinese, by their English. Those of Coze's codes are in the table of codes. A hint with
// a value in it (a path, an id, a command to paste) stays English. TestHintsInChinese holds this against the sources.
var hintsZH = map[string]string{
	"all answers are in the journal: correct the command and run the same again, which sends it what it has not acknowledged": "所有回答都在日志文件里：请修正该命令后用同一命令重新运行，只会发送尚未确认的记录",
	"files are uploaded from here, with the workers' account":                                                                 "文件从本机上传，使用 worker 的账号",
	"a chatflow has questions, another workflow only parameters":                                                              "对话流（chatflow）接收问题，其他工作流只接收参数",
	"questions have a column parameters, as JSON":                                                                             "提问时请用 parameters 列，内容为 JSON",
	"name one, or leave --app out":                                                                                            "请指定其一，或去掉 --app",
	"leave one out":                                                                                                           "请去掉其中一个",
	"leave --on-turn-failure out":                                                                                             "请去掉 --on-turn-failure",
	"use a .csv or .jsonl":                                                                                                    "请改用 .csv 或 .jsonl 文件",
	"as --param days:int=Days":                                                                                                "例如 --param days:int=Days",
	"give each parameter one column":                                                                                          "请为每个参数指定一列",
	"correct the files and run the same command again: it asks those questions":                                               "请修正文件后重新运行同一命令，以提问这些问题",
	"nothing was asked: fix the input and run the command again":                                                              "还没有提问：请修正输入文件后重新运行",
	"start one with 'cozeq worker', or add --with-worker to have one in this process":                                         "请用 cozeq worker 启动一个，或加上 --with-worker 在本进程内启动",
	"check --redis or REDIS_URL, and that the server runs":                                                                    "请检查 --redis 或 REDIS_URL，并确认 Redis 正在运行",
	"check the id and --redis; results are kept for 24h after a task's end, unless --keep said otherwise":                     "请检查 ID 和 --redis；任务结束后结果保留 24 小时，除非 --keep 另有设置",
	"ask them again by the same command with --retry-failed":                                                                  "用同一命令加上 --retry-failed，可以重新提问失败的问题",
	"check user and password in --redis or REDIS_URL, as redis://USER:PASSWORD@HOST:6379/0":                                   "请检查 --redis 或 REDIS_URL 中的用户名和密码，格式为 redis://USER:PASSWORD@HOST:6379/0",
	"redis is full: give it more memory (CONFIG SET maxmemory), or wait until results expire":                                 "Redis 内存已满：请增大 maxmemory（CONFIG SET maxmemory），或等待旧结果过期",
	"this redis is a replica: use the master, or redis-sentinel://, which finds it":                                           "这个 Redis 是副本：请连接主节点，或使用能自动找到主节点的 redis-sentinel://",
	"write redis:// in place of rediss://, leave tls=true out, or give the server's port for TLS":                             "请把 rediss:// 改为 redis://，去掉 tls=true，或改用服务器的 TLS 端口",
	"write rediss:// in place of redis://, or add tls=true to the URL's options":                                              "请把 redis:// 改为 rediss://，或在 URL 参数中加上 tls=true",
	"choose another address with --http or COZEQ_HTTP, or off":                                                                "请用 --http 或 COZEQ_HTTP 换一个地址，或设为 off",
	"choose another address with --http or COZEQ_SERVE":                                                                       "请用 --http 或 COZEQ_SERVE 换一个地址",
	"take it out of the file, or give it another expires":                                                                     "请从文件中删除它，或改写它的 expires",
	"put the hash of a new key beside the old one, or give it another expires":                                                "请在旧哈希旁边加上新密钥的哈希，或改写它的 expires",
	"update the workers: they are of a version that does not know API keys":                                                   "请升级 worker：它们的版本还不认识 API 密钥",
	"give the user of REDIS_URL the channels: ACL SETUSER NAME &cozeq:* &asynq:* +@pubsub, as deploy/redis/users.acl has it":  "请允许 REDIS_URL 的用户使用频道：ACL SETUSER NAME &cozeq:* &asynq:* +@pubsub，见 deploy/redis/users.acl",
	"choose another address with --metrics or COZEQ_METRICS, or off":                                                          "请用 --metrics 或 COZEQ_METRICS 换一个地址，或设为 off",
	"wait for the other run to end, or write to another file with -o":                                                         "请等待另一个运行结束，或用 -o 写到别的文件",
	HintNoToken: "'cozeq run --demo' 两者都不需要；'cozeq mock' 可以代替扣子",
	"start 'cozeq serve' with COZEQ_WEBHOOK_SECRETS_FILE": "请设置 COZEQ_WEBHOOK_SECRETS_FILE 并启动 cozeq serve",
	"ask again": "再问一次",
	"the chat was canceled; ask again for an answer":                                               "对话已取消；需要回答请再问一次",
	"run the command again; without -o it starts from the beginning":                               "重新运行即可；没有 -o 时会从头开始",
	"run the same command again to resume: answered questions are not asked again":                 "再次运行同一命令即可继续，已有回答的问题不会重复提问",
	"run the same command again to resume":                                                         "再次运行同一命令即可继续",
	"Correct the file or its path, and give the same 'cozeq batch submit' again: it asks the row.": "请修正文件或其路径后重新运行同一条 cozeq batch submit 命令：它会提问这一行。",
	"Correct the file or its path and ask the row again: it was not sent.":                         "请修正文件或其路径后重新提问这一行：它没有被发送。",
	"run the same command again":                                                                   "请再次运行同一命令",
	"run the same command again to resume: nothing is asked twice":                                 "再次运行同一命令即可继续，不会重复提问",
	"run the same command again to resume: nothing is enqueued twice":                              "再次运行同一命令即可继续，不会重复入队",
	HintAccepted.EN:       HintAccepted.ZH,
	"give more of the id": "请把 ID 写得更长一些",
	"it has just expired: batches are kept for 7 days after their end, unless --keep said otherwise":          "它刚刚过期：批次结束后保留 7 天，除非 --keep 另有设置",
	"Redis has evicted them; make another batch of the file with 'cozeq batch submit --again'":                "它们已被 Redis 淘汰；请用 cozeq batch submit --again 重新提交该文件",
	"give the same 'cozeq run' again, with --retry-failed":                                                    "请重新运行同一条 cozeq run 命令，并加上 --retry-failed",
	"restore the file and run the same command again to resume; with the present file it makes another batch": "请还原文件后运行同一命令以继续；如果使用现在的文件，将另建一个批次",
	"it was canceled meanwhile; --again makes another batch":                                                  "该批次已被取消；加上 --again 可另建一个批次",
	"name a file that cozeq run or cozeq batch results has written":                                           "请指定由 cozeq run 或 cozeq batch results 写出的文件",
	"Redis was flushed, or has evicted it (maxmemory-policy noeviction prevents that): submit the file again": "Redis 被清空，或已将其淘汰（maxmemory-policy noeviction 可避免）：请重新提交文件",
	"ask both again with --retry-failed":                                                                      "用 --retry-failed 重新提问这两个问题",
	"name a new directory for it":                                                                             "请为缓存指定一个新目录",
	"leave -o out, then the records go to stdout":                                                             "去掉 -o，记录就会写到标准输出",
	"write to a .csv":       "请改为写入 .csv 文件",
	"write to another file": "请写到另一个文件",
	"write to another one":  "请写到另一个文件",
	"see that Redis does not evict keys (maxmemory-policy noeviction), then ask again with --retry-failed": "请确保 Redis 不淘汰键（maxmemory-policy noeviction），然后用 --retry-failed 重新提问",
	"--delimiter takes comma, semicolon or tab":                                                            "--delimiter 可取 comma、semicolon 或 tab",
	"name a file of questions":     "请指定一个问题文件",
	"say what it is with --format": "请用 --format 指明格式",
	"unpack it with gunzip":        "请先用 gunzip 解压",
	"--encoding takes utf-8, gb18030 (also gbk), utf-16le or utf-16be": "--encoding 可取 utf-8、gb18030（即 gbk）、utf-16le 或 utf-16be",
	"Correct the line and send it again.":                              "请改正这一行后重新发送。",
	"delete the line to resume without it, or start over with --force": "删除该行即可跳过它继续，或用 --force 从头开始",
	"use the program that wrote it, or start over with --force":        "请用写出它的那个版本继续，或用 --force 从头开始",
	"move it away, or write to another file":                           "请移走它，或写到另一个文件",
	"as [{\"question\": \"...\"}, ...]":                                "格式如 [{\"question\": \"...\"}, ...]",
	"if it is an .xlsx, say --format xlsx":                             "如果它是 .xlsx，请加上 --format xlsx",
	"leave --encoding out":                                             "请去掉 --encoding",
	"save it as .xlsx":                                                 "请另存为 .xlsx",
	"save it as .xlsx without one":                                     "请另存为不带密码的 .xlsx",
	"take .gz off its name, or say what it is with --format":           "请去掉文件名中的 .gz，或用 --format 指明格式",
	"see that Redis keeps its keys (maxmemory-policy noeviction); --retry-failed asks it again and marks it possible_duplicate": "请确保 Redis 不丢键（maxmemory-policy noeviction）；--retry-failed 会重新提问，并标记 possible_duplicate",
	"choose another address with --addr":                                                        "请用 --addr 换一个地址",
	"write to another file, or replace it with --force":                                         "请写到另一个文件，或用 --force 覆盖它",
	"a column is written as {{.text}}, one with a space in its name as {{index . \"my text\"}}": "列写作 {{.text}}；列名含空格时写作 {{index . \"my text\"}}",
	"write one as {{.text}}":                                                                    "列写作 {{.text}}",
	"ask it with --retry-failed":                                                                "用 --retry-failed 提问它",
	"wait longer, or see that a worker serves its queue":                                        "请等待更久，或检查是否有 worker 在处理它的队列",
	"restore the file and run the same command again to resume, or start over with --force":     "请还原文件后运行同一命令以继续，或用 --force 从头开始",
	"choose another --id":                                                                       "请换一个 --id",
	"name the file with the certificate of the server's authority, as rediss://HOST:6379/0?ca=ca.pem, or in SSL_CERT_FILE":              "请指明签发服务器证书的 CA 证书文件：rediss://HOST:6379/0?ca=ca.pem，或设置 SSL_CERT_FILE",
	"write the server's name as its certificate has it, or add server_name=NAME to the URL's options":                                   "请使用证书中的服务器名，或在 URL 参数中加上 server_name=NAME",
	"the server has refused this client; if it wants a certificate (tls-auth-clients), add cert=FILE and key=FILE to the URL's options": "服务器拒绝了该客户端；如果它要求客户端证书（tls-auth-clients），请在 URL 参数中加上 cert=FILE 和 key=FILE",
	"check --redis or REDIS_URL; a server that speaks TLS only wants rediss://, or tls=true among the URL's options":                    "请检查 --redis 或 REDIS_URL；只支持 TLS 的服务器需要 rediss://，或在 URL 参数中加上 tls=true",
	"the user of the URL may not do that: docs/redis.md has the rules that cozeq needs":                                                 "URL 中的用户没有该权限：所需的 ACL 规则见 docs/redis.md",
	"give another --http, or off":                                                                                "请换一个 --http 地址，或设为 off",
	"set COZEQ_RATE to less, or not at all: the limit is learnt":                                                 "请调低 COZEQ_RATE，或不设置：限额会自动学习",
	"put the token into the file again":                                                                          "请把令牌重新写入该文件",
	"put the token alone there, without quotes, spaces and \"Bearer\"":                                           "请只写令牌本身，不要带引号、空格或 \"Bearer\"",
	"check HTTPS_PROXY, HTTP_PROXY and NO_PROXY":                                                                 "请检查 HTTPS_PROXY、HTTP_PROXY 和 NO_PROXY",
	"check the name in COZE_API_BASE, and this machine's name servers":                                           "请检查 COZE_API_BASE 中的主机名，以及本机的 DNS 设置",
	"check scheme and port in COZE_API_BASE":                                                                     "请检查 COZE_API_BASE 中的协议和端口",
	"check hosts and master= in REDIS_URL, and sentinel_username and sentinel_password if they ask for some":     "请检查 REDIS_URL 中的主机和 master=；如果哨兵要求认证，还要检查 sentinel_username 和 sentinel_password",
	"start the others, or correct their hosts in REDIS_URL":                                                      "请启动其余的哨兵，或改正 REDIS_URL 中的主机",
	"unset it, and take another token: this one may have been seen":                                              "请取消该设置并更换令牌：它可能已经泄露",
	"unset one of the two":                                                                                       "请取消其中一个设置",
	"use https://":                                                                                               "请使用 https://",
	"take the digits that follow /bot/ in the address of the bot's page at Coze":                                 "请使用扣子智能体页面地址中 /bot/ 后面的数字",
	"a worker does not start like this: choose one of the three":                                                 "这样 worker 无法启动：三者只能选一个",
	"start another one with 'cozeq worker'":                                                                      "请用 cozeq worker 再启动一个",
	"see why Redis loses keys: eviction, FLUSHDB, fail-over; the tasks that are whole are served all the same":   "请查明 Redis 丢键的原因：淘汰、FLUSHDB 或故障切换；完整的任务不受影响",
	"ask them again or delete them in the dashboard":                                                             "请在控制台中重新提问或删除它们",
	"see 'A queue that does not move' in docs/operations.md":                                                     "请参阅 docs/operations.md 中的“A queue that does not move”",
	"make room on its disk, and look into its log":                                                               "请为 Redis 的磁盘腾出空间，并查看它的日志",
	"let REDIS_URL name the master, or the sentinels, which know it: redis-sentinel://HOST1,HOST2/0?master=NAME": "REDIS_URL 请指向主节点，或指向哨兵：redis-sentinel://HOST1,HOST2/0?master=NAME",
	"let REDIS_URL begin with redis-cluster://":                                                                  "REDIS_URL 请以 redis-cluster:// 开头",
	"let this user have the rules of docs/redis.md: redis-cli ACL SETUSER":                                       "请按 docs/redis.md 为该用户授权：redis-cli ACL SETUSER",
	"give Redis more memory: see memory":                                                                         "请给 Redis 更多内存：见 memory 一项",
	"let REDIS_URL name the master: see role":                                                                    "REDIS_URL 请指向主节点：见 role 一项",
	"bring the cluster's masters back: redis-cli --cluster check":                                                "请恢复集群的主节点：redis-cli --cluster check",
	"bring its replicas back, or redis-cli CONFIG SET min-replicas-to-write 0":                                   "请恢复它的副本，或执行 redis-cli CONFIG SET min-replicas-to-write 0",
	"look into the log of Redis":                                                                                 "请查看 Redis 的日志",
}

// HintIn gives a hint in the language that is set, as far as there are words for it.
func HintIn(lang coze.Lang, codes *coze.CodeTable, hint string) string {
	if lang != coze.Chinese {
		return hint
	}
	if first, then, found := strings.Cut(hint, " Then "); found {
		then = strings.TrimSuffix(then, ".")
		if zh := HintIn(lang, codes, then); zh != then {
			return HintIn(lang, codes, first) + "然后" + zh + "。"
		}
	}
	if rest, found := strings.CutPrefix(hint, "see '"); found {
		return "请参阅 '" + rest
	}
	if zh := hintsZH[hint]; zh != "" {
		return zh
	}
	return codes.HintIn(lang, hint)
}
