-- What a webhook has to send now. Follows webhook_queue.lua. KEYS: lease.
-- ARGV[5..8]: who asks, webhook id, now in ms, at most how many lanes.
-- Returns {'lost'}, or {'ok', webhook hash, delivery hash, …} as flat lists, one for each lane that is due.

if redis.call('GET', KEYS[1]) ~= ARGV[5] then
  return {'lost'}
end
local webhook = ARGV[6]
local answer = {'ok', redis.call('HGETALL', base_of(webhook))}
if redis.call('HGET', base_of(webhook), 'enabled') ~= '1' then
  redis.call('ZREM', busy, webhook)
  return {'ok', {}}
end
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', base_of(webhook) .. ':due', '-inf', ARGV[7], 'LIMIT', 0, ARGV[8])) do
  local id = redis.call('LINDEX', base_of(webhook) .. ':lane:' .. lane, 0)
  answer[#answer + 1] = redis.call('HGETALL', delivery_of(webhook, id))
end
return answer
