-- Fields of a stream that has no session, its stream key among them. Follows transition.lua.
-- Returns {'ok', stream hash as a flat list}, {'missing'} or {'busy', state}.

local stream = read_stream()
if not stream.state or stream.env ~= ask.env then
  return {'missing'}
end
if stream.last_event_id == ask.event_id then
  -- The client asks again because the first answer was lost on its way.
  return {'ok', redis.call('HGETALL', KEYS[1])}
end
if ask.busy[stream.state] then
  return {'busy', stream.state}
end
if ask.key_hash then
  redis.call('DEL', ask.prefix .. 'key:' .. stream.key_hash)
  redis.call('SET', ask.prefix .. 'key:' .. ask.key_hash, ask.stream_id)
end
redis.call('HSET', KEYS[1], unpack(ask.record))
append_event(stream, ask.type, stream.state, stream.session_id, ask.reason)
return {'ok', redis.call('HGETALL', KEYS[1])}
