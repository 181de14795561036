-- One delivery to one webhook, whatever types it wants. Follows webhook_queue.lua.
-- ARGV[5..12]: webhook id, env, now in ms, give up at ms, event id, lane, type, body.
-- Returns {'missing'}, {'disabled'} or {'ok', delivery hash as a flat list}.

local webhook = ARGV[5]
local about = redis.call('HMGET', base_of(webhook), 'env', 'enabled')
if about[1] ~= ARGV[6] then
  return {'missing'}
elseif about[2] ~= '1' then
  return {'disabled'}
end
local event = {id = ARGV[9], lane = ARGV[10], type = ARGV[11], body = ARGV[12], stream_id = '', seq = 0}
enqueue(webhook, event, ARGV[7], ARGV[8])
return {'ok', redis.call('HGETALL', delivery_of(webhook, event.id))}
