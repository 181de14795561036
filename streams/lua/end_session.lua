-- Whatever session a stream has ends now. Follows transition.lua. KEYS[5] marks this request.
-- Returns {'ok', stream hash as a flat list}, {'missing'} or {'illegal', state}.

local stream = read_stream()
if not stream.state or stream.env ~= ask.env then
  return {'missing'}
end
if redis.call('EXISTS', KEYS[5]) == 1 then
  -- The client asks again because the first answer was lost on its way.
  return {'ok', redis.call('HGETALL', KEYS[1])}
end
local row = ask.rows[stream.state]
if not row then
  return {'illegal', stream.state}
end
write_transition(stream, row, stream.session_id)
redis.call('SET', KEYS[5], '1', 'EX', ask.request_kept_s)
return {'ok', redis.call('HGETALL', KEYS[1])}
