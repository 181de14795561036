-- A webhook goes at once; its queues are purged bit by bit. Follows webhook_queue.lua. KEYS: webhooks to purge.
-- ARGV[5..6]: webhook id, env. Returns 1, or 0 when the environment has no such webhook.

local webhook = ARGV[5]
local env = redis.call('HGET', base_of(webhook), 'env')
if not env and redis.call('SISMEMBER', KEYS[1], webhook) == 1 then
  -- The client asks again because the first answer was lost on its way.
  return 1
end
if env ~= ARGV[6] then
  return 0
end
redis.call('SADD', KEYS[1], webhook)
redis.call('DEL', base_of(webhook))
redis.call('ZREM', prefix .. 'env:' .. env .. ':webhooks', webhook)
redis.call('ZREM', busy, webhook)
return 1
