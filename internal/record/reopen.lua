-- Makes a failed task a queued one again.
--
-- KEYS: 1 record, 2 deltas
-- ARGV: 1 TTL in seconds, 2 when it failed, as the record has it, or '' for any time
-- Reply: 1 reopened, 0 the record has not failed, or not then, and is left alone
--
-- Invariant: a record that has not failed, or has failed again since, stays. The question stands in the conversation of the
-- failed attempt, so that one is forgotten: the task is asked in the conversation of its payload, or in a new one. So are the
-- pieces of its answer: their end would be taken for that of the new ones.

if redis.call('HGET', KEYS[1], 'status') ~= 'failed' then return 0 end
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'completed_at') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'completed_at', 'attempts', 'conversation_id', 'chat_id', 'ended_chat',
	'ended_conversation', 'removed_chat', 'tools', 'answer', 'content_type', 'parts', 'reasoning', 'follow_ups', 'asks_back',
	'token_count', 'output_count', 'input_count', 'spent', 'error_code', 'error_class', 'error_msg', 'error_hint', 'logid')
redis.call('HSET', KEYS[1], 'status', 'queued')
redis.call('UNLINK', KEYS[2])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
