-- A running session that Redis knows nothing of any more, with its stream. Follows transition.lua. KEYS[5] is the stream
-- key, KEYS[6] the edge id. Returns {'written'}, or {'there'} when the stream has this session, or a later one, after all.

local known = read_stream()
if tonumber(known.epoch or -1) >= tonumber(ask.epoch) then
  return {'there'}
end
local stream = {env = ask.env, edge_id = ask.edge_id}
if known.state then
  redis.call('ZREM', index_of(stream, known.state), ask.stream_id)
end
redis.call('HSET', KEYS[1], unpack(ask.record))
redis.call('SET', KEYS[5], ask.stream_id)
redis.call('SET', KEYS[6], ask.stream_id)
redis.call('ZADD', index_of(stream), ask.position, ask.stream_id)
redis.call('ZADD', index_of(stream, ask.state), ask.position, ask.stream_id)
redis.call('HSET', KEYS[2], unpack(ask.session))
redis.call('HSET', KEYS[3], ask.stream_id, ask.node_id)
append_event(stream, ask.type, ask.state, ask.session_id, ask.reason)
return {'written'}
