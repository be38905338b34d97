package main

import (
	"strings"

	"github.com/cozeq/cozeq/coze"
)

const settingLang = "lang"

// hintsZH are hints of cozeq's own. Those of Coze's codes are in the table of codes, and what is in neither stays
// English.
var hintsZH = map[string]string{
	"nothing was asked: mend the input and run the command again":                                         "还没有提问：请修正输入文件后重新运行",
	"start one with 'cozeq worker', or add --with-worker to have one in this process":                     "请用 cozeq worker 启动一个，或加上 --with-worker 在本进程内启动",
	"check --redis or REDIS_URL, and that the server runs":                                                "请检查 --redis 或 REDIS_URL，并确认 Redis 正在运行",
	"check the id and --redis; results are kept for 24h after a task's end, unless --keep said otherwise": "请检查 ID 和 --redis；任务结束后结果保留 24 小时，除非 --keep 另有设置",
	"ask them again by the same command with --retry-failed":                                              "用同一命令加上 --retry-failed，可以重新提问失败的问题",
	"check user and password in --redis or REDIS_URL, as redis://USER:PASSWORD@HOST:6379/0":               "请检查 --redis 或 REDIS_URL 中的用户名和密码，格式为 redis://USER:PASSWORD@HOST:6379/0",
	"redis is full: give it more memory (CONFIG SET maxmemory), or wait until results expire":             "Redis 内存已满：请增大 maxmemory（CONFIG SET maxmemory），或等待旧结果过期",
	"this redis is a replica: use the master, or redis-sentinel://, which finds it":                       "这个 Redis 是副本：请连接主节点，或使用能自动找到主节点的 redis-sentinel://",
	"write redis:// in place of rediss://, leave tls=true out, or give the server's port for TLS":         "请把 rediss:// 改为 redis://，去掉 tls=true，或改用服务器的 TLS 端口",
	"write rediss:// in place of redis://, or add tls=true to the URL's options":                          "请把 redis:// 改为 rediss://，或在 URL 参数中加上 tls=true",
	"choose another address with --http or COZEQ_HTTP, or off":                                            "请用 --http 或 COZEQ_HTTP 换一个地址，或设为 off",
	"wait for the other run to end, or write to another file with -o":                                     "请等待另一个运行结束，或用 -o 写到别的文件",
	hintNoToken: "'cozeq run --demo' 两者都不需要；'cozeq mock' 可以代替扣子",
	"ask again": "再问一次",
	"the chat was canceled; ask again for an answer":                           "对话已取消；需要回答请再问一次",
	"run the command again; without -o it starts from the beginning":           "重新运行即可；没有 -o 时会从头开始",
	"run the same command again to go on: what is answered is not asked again": "再次运行同一命令即可继续，已有回答的问题不会重复提问",
	"run the same command again to go on":                                      "再次运行同一命令即可继续",
	"run the same command again":                                               "请再次运行同一命令",
	"run the same command again to go on: nothing is asked twice":              "再次运行同一命令即可继续，不会重复提问",
	"run the same command again to go on: nothing is enqueued twice":           "再次运行同一命令即可继续，不会重复入队",
	hintAccepted.EN: hintAccepted.ZH,
}

// hintIn gives a hint in the language that is set, as far as there are words for it.
func hintIn(lang coze.Lang, codes *coze.CodeTable, hint string) string {
	if lang != coze.Chinese {
		return hint
	}
	if first, then, found := strings.Cut(hint, " Then "); found {
		then = strings.TrimSuffix(then, ".")
		if zh := hintIn(lang, codes, then); zh != then {
			return hintIn(lang, codes, first) + "然后" + zh + "。"
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

// hints gives hints in the language that is set.
func (c config) hints() (func(string) string, error) {
	lang, err := c.lang()
	if err != nil {
		return nil, err
	}
	codes, err := c.codes()
	if err != nil {
		codes = coze.DefaultCodes() // who uses them says what is wrong
	}
	return func(hint string) string { return hintIn(lang, codes, hint) }, nil
}

// lang is the language to explain in: as set, else the locale's.
func (c config) lang() (coze.Lang, error) {
	value, source := c.lookup(settingLang, "")
	if value == "" {
		return c.locale(), nil
	}
	switch lang := language(value); lang {
	case coze.English, coze.Chinese:
		return lang, nil
	}
	return "", c.bad(source, "%q, want %s or %s", value, coze.English, coze.Chinese)
}

// locale heeds the first variable that is set, in POSIX's order: LC_ALL=C makes
// a Chinese LANG speak English.
func (c config) locale() coze.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value, _ := c.env(name)
		if value == "" {
			continue
		}
		if language(value) == coze.Chinese {
			return coze.Chinese
		}
		break
	}
	return coze.English
}

// language is the first part of a locale or tag: zh of zh_CN.UTF-8 and zh-Hans.
func language(tag string) coze.Lang {
	if i := strings.IndexAny(tag, "_-.@"); i >= 0 {
		tag = tag[:i]
	}
	return coze.Lang(strings.ToLower(tag))
}
