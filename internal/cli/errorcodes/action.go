package errorcodes

import (
	"fmt"

	"github.com/cozeq/cozeq/coze"
)

// action describes what the worker does about a failure.
func action(class coze.Class, scope coze.Scope, tries int) coze.Text {
	switch {
	case class == coze.ClassRate:
		return slowed(scope)
	case class == coze.ClassAuth, class == coze.ClassQuota:
		return held(scope)
	case class == coze.ClassEndpoint:
		return pausedWay
	case scope == coze.ScopeBot:
		return pausedBot
	case class == coze.ClassTransient:
		return askedAgain(tries)
	}
	return ownActions[class]
}

// ownActions are those of classes that concern one question and always have the same action.
var ownActions = map[coze.Class]coze.Text{
	coze.ClassPermanent: {EN: "fails the question at once", ZH: "立即判定该问题失败"},
	coze.ClassAction:    {EN: "fails the question at once", ZH: "立即判定该问题失败"},
	coze.ClassInvalid:   {EN: "fails the question without a call to Coze", ZH: "不调用扣子，直接判定该问题失败"},
	coze.ClassExpired:   {EN: "ends the question unasked", ZH: "不再提问，直接结束该问题"},
	coze.ClassBusy: {
		EN: "waits until the conversation is free, at most 12 min, and fails the question after that; waiting uses up no attempt",
		ZH: "等待会话空闲，最多 12 分钟，之后判定该问题失败；等待不消耗尝试次数",
	},
	coze.ClassTruncated: {
		EN: "looks the chat up at Coze, and asks again only if it has no answer, up to the question's attempts",
		ZH: "先向扣子查询该对话，没有回答才重新提问，直到用完该问题的尝试次数",
	},
	coze.ClassTimeout: {
		EN: "looks the chat up at Coze, or cancels it when the question's time is up, and asks again only if it has no answer, " +
			"up to the question's attempts",
		ZH: "先向扣子查询该对话（问题的时限已到则取消它），没有回答才重新提问，直到用完该问题的尝试次数",
	},
	coze.ClassCanceled: {
		EN: "ends the question if it was canceled here; if its chat was canceled at Coze, asks again, up to the question's attempts",
		ZH: "在 cozeq 中取消的问题就此结束；对话在扣子一侧被取消的会重新提问，直到用完该问题的尝试次数",
	},
}

// The pauses of the worker, and its probes.
var (
	pausedBot = coze.Text{
		EN: "pauses this bot alone, while other bots continue: " + untilProbed.EN,
		ZH: "只暂停该智能体，其他智能体不受影响：" + untilProbed.ZH,
	}
	pausedCredential = coze.Text{
		EN: "pauses the credential: " + untilProbed.EN,
		ZH: "暂停该凭证：" + untilProbed.ZH,
	}
	pausedWay = coze.Text{
		EN: "stops run and ask with exit code 1, before the first question where they see it then, else after 2 min; " +
			"a worker " + pausedCredential.EN,
		ZH: "run 和 ask 以退出码 1 结束：能在第一个问题之前发现就立即结束，否则最多等待 2 分钟；worker 则" + pausedCredential.ZH,
	}
	untilProbed = coze.Text{
		EN: "its questions wait and use up no attempt; one of them probes after 30 s, then at growing intervals of up to 10 min, " +
			"and all go on by themselves once it gets through",
		ZH: "相关问题排队等待，不消耗尝试次数；30 秒后用其中一个探测，之后间隔逐渐拉长（最长 10 分钟），一旦成功便自动全部恢复",
	}
)

// held is for what a person must fix: a token or a quota. run and ask differ, because somebody waits for them.
func held(scope coze.Scope) coze.Text {
	t := pausedCredential
	if scope == coze.ScopeBot {
		t = pausedBot
	}
	return coze.Text{
		EN: t.EN + "; run and ask with a worker of their own do not wait long, they end with exit code 4",
		ZH: t.ZH + "；自带 worker 的 run 和 ask 不会久等，以退出码 4 结束",
	}
}

func slowed(scope coze.Scope) coze.Text {
	waits := coze.Text{
		EN: "the question waits, as long as Coze says if it does, and is asked again; no attempt is used up",
		ZH: "该问题等待片刻（扣子给出了时长则按其等待）后重新提问；不消耗尝试次数",
	}
	if scope == coze.ScopeBot {
		return coze.Text{
			EN: "slows this bot down in the limiter that all workers share; " + waits.EN,
			ZH: "在所有 worker 共享的限速器中降低该智能体的速率；" + waits.ZH,
		}
	}
	return coze.Text{
		EN: "slows the credential down in the limiter that all workers share; " + waits.EN,
		ZH: "在所有 worker 共享的限速器中降低该凭证的速率；" + waits.ZH,
	}
}

// askedAgain is for transient faults. A code's own bound never exceeds the question's attempts.
func askedAgain(tries int) coze.Text {
	switch tries {
	case 0:
		return coze.Text{
			EN: "asks again, after growing pauses, up to the question's attempts",
			ZH: "以逐渐拉长的间隔重新提问，直到用完该问题的尝试次数",
		}
	case 1:
		return coze.Text{EN: "fails the question and does not ask again", ZH: "判定该问题失败，不再重新提问"}
	}
	return coze.Text{
		EN: fmt.Sprintf("asks again, after growing pauses, %d times in all at most and never beyond the question's attempts", tries),
		ZH: fmt.Sprintf("以逐渐拉长的间隔重新提问，总共最多 %d 次，且不超过该问题的尝试次数", tries),
	}
}

func covers(scope coze.Scope) coze.Text {
	switch scope {
	case coze.ScopeBot:
		return coze.Text{EN: "every question to this bot", ZH: "发给该智能体的所有问题"}
	case coze.ScopeAccount:
		return coze.Text{EN: "every question with this credential", ZH: "使用该凭证的所有问题"}
	}
	return coze.Text{EN: "this question alone", ZH: "仅限该问题"}
}
