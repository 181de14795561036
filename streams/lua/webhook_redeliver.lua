-- A settled delivery once more, under its id. Follows webhook_queue.lua.
-- ARGV[5..9]: webhook id, env, delivery id, now in ms, give up at ms.
-- Returns {'missing'}, {'pending'}, {'full'}, {'disabled'} or {'ok', delivery hash as a flat list}.
-- It waits in a lane beside that of its stream: an old event that fails again must not hold up new ones.

local webhook, id, now_ms = ARGV[5], ARGV[7], ARGV[8]
local key = delivery_of(webhook, id)
local values = redis.call('HMGET', key, 'state', 'number', 'stream_id', 'lane', 'tries')
local again = 'again:' .. (values[3] or '')
local about = redis.call('HMGET', base_of(webhook), 'env', 'enabled')
if about[1] ~= ARGV[6] or not values[1] then
  return {'missing'}
elseif values[1] == 'pending' and values[4] == again and values[5] == '0' then
  return {'ok', redis.call('HGETALL', key)}
elseif values[1] == 'pending' then
  return {'pending'}
elseif about[2] ~= '1' then
  return {'disabled'}
elseif redis.call('ZCARD', base_of(webhook) .. ':pending') >= most.pending then
  return {'full'}
end
redis.call('ZREM', base_of(webhook) .. ':' .. values[1], id)
redis.call('HSET', key, 'tries', 0, 'give_up_ms', ARGV[9])
push(webhook, id, values[2], again, now_ms)
return {'ok', redis.call('HGETALL', key)}
