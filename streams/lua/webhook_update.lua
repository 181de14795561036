-- Fields of a webhook. Follows webhook_queue.lua. ARGV[5..6]: webhook id, env; then hash fields and values.
-- Returns 1, or 0 when the environment has no such webhook. Disabled, it is paused; what is pending stays.

local webhook = ARGV[5]
if redis.call('HGET', base_of(webhook), 'env') ~= ARGV[6] then
  return 0
end
for i = 7, #ARGV, 2 do
  redis.call('HSET', base_of(webhook), ARGV[i], ARGV[i + 1])
  if ARGV[i] == 'enabled' then
    redis.call('HDEL', base_of(webhook), 'disabled_reason')
  end
end
plan(webhook)
return 1
