-- A stream that has no session goes, with all that leads to it. Follows transition.lua. KEYS[5] marks this request.
-- Returns {'ok'}, {'missing'} or {'busy', state}.

if redis.call('EXISTS', KEYS[5]) == 1 then
  -- The client asks again because the first answer was lost on its way.
  return {'ok'}
end
local stream = read_stream()
if not stream.state or stream.env ~= ask.env then
  return {'missing'}
end
if ask.busy[stream.state] then
  return {'busy', stream.state}
end
append_event(stream, ask.type, stream.state, stream.session_id, ask.reason)
redis.call('DEL', KEYS[1], KEYS[2], ask.prefix .. 'key:' .. stream.key_hash, ask.prefix .. 'edge:' .. stream.edge_id)
redis.call('HDEL', KEYS[3], ask.stream_id)
redis.call('ZREM', index_of(stream), ask.stream_id)
redis.call('ZREM', index_of(stream, stream.state), ask.stream_id)
redis.call('SET', KEYS[5], '1', 'EX', ask.request_kept_s)
return {'ok'}
