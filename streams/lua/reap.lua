-- The session of a node that is gone ends once its window is over. Follows transition.lua. KEYS[5] is the node's hash,
-- KEYS[6] all nodes by when they were last heard of. Returns {'reaped', from, to}, {'waiting'} or {'stale'}.

local stream = read_stream()
local hosted = redis.call('HGET', KEYS[2], 'node_id')
local row = ask.rows[stream.state]
if hosted ~= ask.node_id or not row or redis.call('EXISTS', KEYS[5]) == 1 then
  return {'stale'}
end
local heard_s = tonumber(redis.call('ZSCORE', KEYS[6], ask.node_id) or '0')
local window_s = tonumber(redis.call('HGET', KEYS[1], 'reconnect_window_s'))
if tonumber(redis.call('TIME')[1]) - heard_s < window_s then
  return {'waiting'}
end
write_transition(stream, row, stream.session_id)
return {'reaped', stream.state, row[1]}
