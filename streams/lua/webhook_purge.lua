-- Some of what a deleted webhook left. Follows webhook_queue.lua. KEYS: webhooks to purge. ARGV[5..6]: webhook id, at
-- most how many deliveries. Returns 1 once nothing is left, else 0.

local webhook, left = ARGV[5], tonumber(ARGV[6])
local base = base_of(webhook)
for _, state in ipairs({'pending', 'delivered', 'dead'}) do
  local ids = left > 0 and redis.call('ZRANGE', base .. ':' .. state, 0, left - 1) or {}
  for _, id in ipairs(ids) do
    redis.call('DEL', delivery_of(webhook, id))
  end
  if #ids > 0 then
    redis.call('ZREMRANGEBYRANK', base .. ':' .. state, 0, #ids - 1)
  end
  left = left - #ids
end
if left <= 0 then
  return 0
end
for _, lane in ipairs(redis.call('ZRANGE', base .. ':due', 0, -1)) do
  redis.call('DEL', base .. ':lane:' .. lane)
end
redis.call('DEL', base .. ':due')
redis.call('SREM', KEYS[1], webhook)
return 1
