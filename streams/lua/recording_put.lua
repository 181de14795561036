-- How far a recording has come. Follows transition.lua. KEYS[5] is its hash, KEYS[6] those that are not closed yet,
-- KEYS[7] those that are closed by when, KEYS[8] those that were deleted.
-- Returns {'ok'}, {'deleted'}, {'over'} when it was closed before, or {'missing'}: it is new, and its stream is gone.

if redis.call('ZSCORE', KEYS[8], ask.recording_id) then
  return {'deleted'}
end
local stream = read_stream()
local before = redis.call('HGET', KEYS[5], 'state')
if before and before ~= 'recording' then
  return {'over'}
end
if not before then
  if not stream.state then
    return {'missing'}
  end
  local all = ask.prefix .. 'env:' .. stream.env .. ':recordings'
  local newest = redis.call('ZREVRANGE', all, 0, 0, 'WITHSCORES')
  local position = tonumber(ask.at_us)
  if newest[2] and tonumber(newest[2]) >= position then
    position = tonumber(newest[2]) + 1
  end
  position = string.format('%.0f', position)
  redis.call('HSET', KEYS[5], 'recording_id', ask.recording_id, 'stream_id', ask.stream_id, 'env', stream.env,
    'edge_id', stream.edge_id, 'session_id', ask.session_id, 'position', position)
  redis.call('ZADD', all, position, ask.recording_id)
  redis.call('ZADD', ask.prefix .. 'stream:' .. ask.stream_id .. ':recordings', position, ask.recording_id)
  redis.call('SADD', KEYS[6], ask.recording_id)
end
redis.call('HSET', KEYS[5], 'state', ask.state, unpack(ask.record))
if ask.state ~= 'recording' then
  redis.call('SREM', KEYS[6], ask.recording_id)
  redis.call('ZADD', KEYS[7], ask.at_epoch_s, ask.recording_id)
end
if ask.state ~= before then
  append_foreign_event(stream, ask.type, ask.session_id)
end
return {'ok'}
