-- How an attempt went. Follows webhook_queue.lua. KEYS: lease.
-- ARGV[5..14]: who asks, webhook id, delivery id, attempts before this one, new state (pending: try again), now in ms,
-- due again at ms, HTTP status or '', error or '', why the webhook is to be disabled or ''.
-- Returns {'lost'}, {'stale'} when this attempt was noted before or the webhook is gone, or {'ok'[, webhook hash, hash
-- of the delivery that is next in the lane, as flat lists]}.

if redis.call('GET', KEYS[1]) ~= ARGV[5] then
  return {'lost'}
end
local webhook, id, state, now_ms, due_ms = ARGV[6], ARGV[7], ARGV[9], ARGV[10], ARGV[11]
local base, key = base_of(webhook), delivery_of(webhook, id)
local values = redis.call('HMGET', key, 'state', 'attempts', 'lane', 'number')
if values[1] ~= 'pending' or values[2] ~= ARGV[8] or redis.call('EXISTS', base) == 0 then
  return {'stale'}
end
local lane, number = values[3], values[4]
redis.call('HINCRBY', key, 'attempts', 1)
redis.call('HINCRBY', key, 'tries', 1)
redis.call('HSET', key, 'last_ms', now_ms, 'status', ARGV[12], 'error', ARGV[13])
if ARGV[14] ~= '' then
  redis.call('HSET', base, 'enabled', '0', 'disabled_reason', ARGV[14])
end
if state == 'pending' then
  redis.call('HSET', key, 'next_ms', due_ms)
  redis.call('ZADD', base .. ':due', due_ms, lane)
  plan(webhook)
  return {'ok'}
end
settle(webhook, id, number, state)
redis.call('LPOP', base .. ':lane:' .. lane)
local following = redis.call('LINDEX', base .. ':lane:' .. lane, 0)
if not following then
  redis.call('ZREM', base .. ':due', lane)
  plan(webhook)
  return {'ok'}
end
redis.call('ZADD', base .. ':due', now_ms, lane)
plan(webhook)
if redis.call('HGET', base, 'enabled') ~= '1' then
  return {'ok'}
end
return {'ok', redis.call('HGETALL', base), redis.call('HGETALL', delivery_of(webhook, following))}
