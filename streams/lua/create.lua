-- A new stream. Follows transition.lua.
-- KEYS: stream hash, stream key, edge id, events[, answer that is kept for an idempotency key].
-- Returns {'created'}, or {'kept', answer, 1 or 0} when this idempotency key was used before: is its stream still there?

local kept = KEYS[5] and redis.call('HMGET', KEYS[5], 'answer', 'stream_id')
if kept and kept[1] then
  return {'kept', kept[1], redis.call('EXISTS', ask.prefix .. 'stream:' .. kept[2])}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- The client asks again because the first answer was lost on its way.
  return {'created'}
end
if KEYS[5] then
  redis.call('HSET', KEYS[5], 'answer', ask.answer, 'stream_id', ask.stream_id)
  redis.call('EXPIRE', KEYS[5], ask.answer_kept_s)
end

-- Positions are unique and grow with every stream, whatever the clocks say: pages neither repeat nor skip one.
local stream = {env = ask.env, edge_id = ask.edge_id}
local newest = redis.call('ZREVRANGE', index_of(stream), 0, 0, 'WITHSCORES')
local position = tonumber(ask.at_us)
if newest[2] and tonumber(newest[2]) >= position then
  position = tonumber(newest[2]) + 1
end
position = string.format('%.0f', position)

redis.call('HSET', KEYS[1], 'position', position, unpack(ask.record))
redis.call('SET', KEYS[2], ask.stream_id)
redis.call('SET', KEYS[3], ask.stream_id)
redis.call('ZADD', index_of(stream), position, ask.stream_id)
redis.call('ZADD', index_of(stream, ask.state), position, ask.stream_id)
append_event(stream, ask.type, ask.state, '', ask.reason)
return {'created'}
