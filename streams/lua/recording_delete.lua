-- A recording goes; its files are removed by whoever has them. Follows transition.lua. KEYS[5] is its hash, KEYS[6]
-- those that are closed by when, KEYS[7] those that were deleted by when, KEYS[8] those that are not closed.
-- Returns {'ok'}, {'missing'} or {'busy'}: its session goes on.

local found = redis.call('HMGET', KEYS[5], 'state', 'env', 'session_id')
if not found[1] or (ask.env and found[2] ~= ask.env) then
  return {'missing'}
end
local stream = read_stream()
if found[1] == 'recording' and stream.session_id == found[3] and ask.busy[stream.state] then
  return {'busy'}
end
redis.call('DEL', KEYS[5])
redis.call('ZREM', KEYS[6], ask.recording_id)
redis.call('SREM', KEYS[8], ask.recording_id)
redis.call('ZREM', ask.prefix .. 'env:' .. found[2] .. ':recordings', ask.recording_id)
redis.call('ZREM', ask.prefix .. 'stream:' .. ask.stream_id .. ':recordings', ask.recording_id)
redis.call('ZADD', KEYS[7], ask.at_epoch_s, ask.recording_id)
redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', ask.forget_s)
append_foreign_event(stream, ask.type, found[3])
return {'ok'}
