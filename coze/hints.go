package coze

// What a person can do, where several codes ask for the same.
var (
	hintToken = Text{
		"Check the token, and that the base URL is of the token's region (api.coze.cn or api.coze.com).",
		"请检查令牌，并确认 API 地址与令牌所属站点一致（api.coze.cn 或 api.coze.com）。",
	}
	hintResource = Text{
		"Check the id of the bot or workflow, the token and the region (api.coze.cn or api.coze.com): a wrong one of the three looks like this.",
		"请检查智能体或工作流的 ID、令牌和站点（api.coze.cn 或 api.coze.com）：三者中任何一个不对，都会报这个错误。",
	}
	hintScope = Text{
		"Give the token the permission for this call and the bot's workspace, in Coze's settings for tokens.",
		"请在扣子的令牌设置中，为令牌勾选该接口的权限以及智能体所在的工作空间。",
	}
	hintBot = Text{
		"Open the bot at Coze, correct its settings and publish it to the API channel again.",
		"请在扣子中打开该智能体，修正配置后重新发布，发布渠道选择 API。",
	}
	hintModel = Text{
		"Choose another model for the bot, or correct the model's key, at Coze.",
		"请在扣子中为智能体更换模型，或修正模型的密钥。",
	}
	hintTopUp = Text{
		"Top up the account at Coze, then go on.",
		"请在扣子中为账号充值，然后继续。",
	}
	hintTomorrow = Text{
		"Wait until the quota is renewed the next day, or raise it at Coze.",
		"请等待次日额度恢复，或在扣子中提升额度。",
	}
	hintRate = Text{
		"Nothing to do: it is asked again more slowly; lower the rate or the concurrency if it goes on.",
		"无需处理：cozeq 会放慢速度后重新提问；如果持续出现，请降低速率或并发数。",
	}
	hintWait = Text{
		"It mostly passes by itself: it is asked again while there are attempts left; after that, ask it again later.",
		"多半会自行恢复：尝试次数用完之前会自动重新提问；用完之后，请稍后再问。",
	}
	hintSupport = Text{
		"Look again later; if it stays, give the log id to Coze's support.",
		"请稍后再看；如果一直存在，请把 logid 提供给扣子技术支持。",
	}
	hintTooLarge = Text{
		"Raise --max-answer (COZEQ_MAX_ANSWER; in Go Client.MaxEvent), then ask again: the record has the first part.",
		"请调大 --max-answer（COZEQ_MAX_ANSWER；Go 中为 Client.MaxEvent）后重新提问：记录里保留了开头部分。",
	}
	hintReply = Text{
		"Reply in the same conversation: ask with the conversation_id of this record, or with the same conversation_key.",
		"请在同一个会话中回复：用这条记录的 conversation_id（或相同的 conversation_key）再提一问。",
	}
	hintResume = Text{
		"Run it again with resume (ask: --resume and --interrupt-type): the event_id and type of this record's interrupt, and the answer as resume_data.",
		"请用 resume（ask 用 --resume 和 --interrupt-type）继续运行：带上这条记录 interrupt 中的 event_id 和 type，并把回答写入 resume_data。",
	}
	hintShorten = Text{
		"Shorten the question, or ask it in a new conversation.",
		"请缩短问题，或在新的会话中提问。",
	}
	hintModerated = Text{
		"Rewrite the question: Coze's moderation does not let it pass.",
		"请改写问题：它没有通过扣子的内容审核。",
	}
	hintWorkflow = Text{
		"Run the workflow at Coze with the same input and correct the node that fails.",
		"请在扣子中用同样的输入试运行该工作流，修正出错的节点。",
	}
	hintPublishWorkflow = Text{
		"Publish the workflow at Coze, then the bot that has it.",
		"请在扣子中先发布工作流，再发布包含它的智能体。",
	}
	hintRequest = Text{
		"Correct the request: the message names the field.",
		"请修正请求：错误信息中会指出有问题的字段。",
	}
	hintNewThread = Text{
		"Ask in a new conversation: this one is unknown to Coze or not this token's.",
		"请在新的会话中提问：该会话不存在，或不属于这个令牌。",
	}
	hintFile = Text{
		"Upload the file again in a form that Coze takes, then use its new id.",
		"请按扣子支持的格式和大小重新上传文件，并使用新的文件 ID。",
	}
	hintKnowledge = Text{
		"Check the bot's knowledge base and its permissions at Coze.",
		"请在扣子中检查智能体的知识库及其权限。",
	}
	hintPlan = Text{
		"The account's plan does not include this: change the plan at Coze.",
		"账号当前的套餐不包含此功能，请在扣子中升级套餐。",
	}
	hintEnded = Text{
		"Look the chat up: it has ended by itself.",
		"请查询该对话：它已经自行结束。",
	}
	hintEndpoint = Text{
		"Set --coze-base or COZE_API_BASE to where Coze's API is: " + DefaultBaseURL + " or " + BaseURLCom +
			", without a path; if it is right, look at the proxy or gateway on the way.",
		"请将 --coze-base 或 COZE_API_BASE 设为扣子 API 的地址（https 的 api.coze.cn 或 api.coze.com，不带路径）；如果地址无误，请检查中途的代理或网关。",
	}
	hintProxy = Text{
		"Let HTTPS_PROXY or HTTP_PROXY name the proxy with a login that it accepts, or NO_PROXY the host of the base URL; " +
			"where no proxy is meant, log in to this network.",
		"请在 HTTPS_PROXY 或 HTTP_PROXY 中写入代理接受的用户名和密码，或在 NO_PROXY 中列出 API 地址的主机名；如果本来没有代理，请先登录所在的网络。",
	}
	hintTLS = Text{
		"Check scheme, host and port of --coze-base or COZE_API_BASE; behind a proxy that opens TLS, let SSL_CERT_FILE name its certificate.",
		"请检查 --coze-base 或 COZE_API_BASE 的协议、主机和端口；如果代理会解密 TLS，请用 SSL_CERT_FILE 指定它的证书。",
	}
	hintNoReply = Text{
		"Something took the connection and stayed silent: check --coze-base or COZE_API_BASE, and the proxy or gateway on the way.",
		"连接已建立，但对方始终没有应答：请检查 --coze-base 或 COZE_API_BASE，以及中途的代理或网关。",
	}
	hintUnreached = Text{
		"Nothing was sent, and no attempt is used up: look at this machine's network, name servers, firewall and HTTPS_PROXY, " +
			"and check --coze-base or COZE_API_BASE.",
		"没有发送任何内容，也不消耗尝试次数：请检查本机的网络、DNS、防火墙和 HTTPS_PROXY，以及 --coze-base 或 COZE_API_BASE。",
	}
)

// classHints are for codes, and failures without one, that have no hint of their own.
var classHints = map[Class]Text{
	ClassInvalid: {
		"Correct the question: it was not sent.",
		"请修正问题：它没有被发送。",
	},
	ClassPermanent: {
		"Correct the question or the bot: the same question will fail again.",
		"请修正问题或智能体：同样的问题再问一次仍会失败。",
	},
	ClassAuth:     hintToken,
	ClassQuota:    hintTopUp,
	ClassEndpoint: hintEndpoint,
	ClassRate:     hintRate,
	ClassBusy: {
		"Wait for the other chat of this conversation to end.",
		"请等待该会话中的另一个对话结束。",
	},
	ClassTransient: hintWait,
	ClassTruncated: {
		"Look the chat up by its id; if it is unknown, ask again.",
		"请用对话 ID 查询该对话；如果查不到，再重新提问。",
	},
	ClassAction: {
		"Give the worker the tool that the bot calls (docs/tools.md), or use a bot without client-side tools.",
		"请为工作进程提供智能体所调用的工具（见 docs/tools.md），或换用不含端侧工具（端插件）的智能体。",
	},
	ClassTimeout: {
		"Ask again, or allow more time.",
		"请重新提问，或放宽超时时间。",
	},
}
