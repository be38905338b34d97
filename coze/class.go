package coze

import (
	"fmt"
	"slices"
	"strings"
)

// Class is the kind of a failure: it decides what becomes of the task.
type Class string

// The classes of failures.
const (
	ClassInvalid   Class = "invalid"   // refused by our own checks; nothing was sent
	ClassPermanent Class = "permanent" // the same question will fail again
	ClassAuth      Class = "auth"      // token, permission or account
	ClassQuota     Class = "quota"     // a quota or a balance is used up
	ClassEndpoint  Class = "endpoint"  // what answers at the base URL is not Coze's API, or something on the way refuses
	ClassRate      Class = "rate"      // too many requests at this moment
	ClassBusy      Class = "busy"      // another chat is active in the conversation
	ClassTransient Class = "transient" // likely to pass
	ClassTruncated Class = "truncated" // a stream ended before its last event
	ClassAction    Class = "action"    // the bot wants a client-side tool
	ClassTimeout   Class = "timeout"   // a deadline or the longest silence was passed
	ClassCanceled  Class = "canceled"  // by the caller or at Coze
	ClassExpired   Class = "expired"   // the caller's own expiry; never made by this package
)

// classes lists them in the order of the documentation, with their meaning.
var classes = []struct {
	class   Class
	meaning Text
}{
	{ClassPermanent, Text{"the same question will fail again", "永久性错误：同样的问题再问一次仍会失败"}},
	{ClassAuth, Text{"the token, its permissions or the account are not accepted", "鉴权失败：令牌、权限或账号不被接受"}},
	{ClassQuota, Text{"a quota or a balance is used up", "额度用尽：额度或余额已耗尽"}},
	{ClassRate, Text{"too many requests at this moment", "触发限流：当前请求过多"}},
	{ClassBusy, Text{"another chat is active in the conversation", "会话被占用：该会话中还有另一个对话正在进行"}},
	{ClassTransient, Text{"a fault that is likely to pass", "暂时性故障：通常会自行恢复"}},
	{ClassEndpoint, Text{
		"what answers at the base URL is not Coze's API, or a proxy on the way refuses",
		"接口地址有误：API 地址上应答的不是扣子的接口，或中途的代理拒绝了请求",
	}},
	{ClassTruncated, Text{"a stream ended before its last event", "响应中断：流式响应在最后一个事件之前断开"}},
	{ClassTimeout, Text{"a deadline or the longest silence was passed", "超时：超过了截止时间，或太久没有收到任何事件"}},
	{ClassAction, Text{"the bot calls a client-side tool that nobody runs here", "需要端侧工具：智能体要求调用端侧工具，而这里没有人运行它"}},
	{ClassInvalid, Text{"our own checks refuse the question; nothing was sent", "问题无效：未通过 cozeq 自身的检查，没有发送"}},
	{ClassCanceled, Text{"canceled on request, or at Coze", "已取消：应请求取消，或在扣子一侧被取消"}},
	{ClassExpired, Text{"the question's own expiry passed before it was asked", "已过期：在提问之前就超过了问题自身的有效期"}},
}

// Classes lists all classes, those of codes first.
func Classes() []Class {
	all := make([]Class, len(classes))
	for i, row := range classes {
		all[i] = row.class
	}
	return all
}

// ParseClass checks the name of a class.
func ParseClass(name string) (Class, error) {
	if all := Classes(); !slices.Contains(all, Class(name)) {
		return "", fmt.Errorf("%q, want one of %s", name, strings.Trim(fmt.Sprint(all), "[]"))
	}
	return Class(name), nil
}

// Meaning is a phrase that explains the class; empty for an unknown class.
func (c Class) Meaning() Text {
	for _, row := range classes {
		if row.class == c {
			return row.meaning
		}
	}
	return Text{}
}

// Hint is a sentence about what a person can do if only the class is known; empty if there is nothing to do.
func (c Class) Hint() Text { return classHints[c] }

// codeClasses are the classes that a code can have; the others come from this side.
var codeClasses = []Class{ClassPermanent, ClassAuth, ClassQuota, ClassRate, ClassBusy, ClassTransient}

// accountClasses are the classes that concern the account unless a row names the bot as its scope.
var accountClasses = []Class{ClassAuth, ClassQuota, ClassRate}
