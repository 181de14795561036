-- A publisher was accepted: claim the stream for a new session. Follows transition.lua.
-- Returns {'ok', from, stream hash as a flat list}, {'revoked'} or {'busy', state}.

local stream = read_stream()
if not stream.state or stream.key_hash ~= ask.key_hash then
  return {'revoked'}
end
if stream.last_event_id == ask.event_id then
  -- The client asks again because the first answer was lost on its way.
  return {'ok', stream.state, redis.call('HGETALL', KEYS[1])}
end
local row = ask.rows[stream.state]
if not row then
  return {'busy', stream.state}
end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'session_id', ask.session_id, 'node_id', ask.node_id)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'session_id', ask.session_id, 'node_id', ask.node_id, 'epoch', epoch, 'begun_at', ask.at_s)
redis.call('HSET', KEYS[3], ask.stream_id, ask.node_id)
write_transition(stream, row, ask.session_id)
return {'ok', stream.state, redis.call('HGETALL', KEYS[1])}
