-- One event of a running session. Follows transition.lua.
-- Returns {'ok', from, to}, {'stale'} or {'illegal', state}.

local stream = read_stream()
if stream.session_id ~= ask.session_id or stream.epoch ~= ask.epoch then
  return {'stale'}
end
if stream.last_event_id == ask.event_id then
  -- The client asks again because the first answer was lost on its way.
  return {'ok', stream.state, stream.state}
end
local row = ask.rows[stream.state]
if not row then
  return {'illegal', stream.state}
end
write_transition(stream, row, stream.session_id)
return {'ok', stream.state, row[1]}
