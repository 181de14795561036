-- How far a recording has come. Follows transition.lua. KEYS[5] is its hash, KEYS[6] those that are not closed yet,
-- KEYS[7] those that are closed by when, KEYS[8] those that were deleted.
-- Returns {'ok'}, {'deleted'}, {'over'} when it was closed before (what another node has of it is taken in
-- nevertheless), or {'missing'}: it is new, and its stream is gone.

if redis.call('ZSCORE', KEYS[8], ask.recording_id) then
  return {'deleted'}
end
local stream = read_stream()
local known = redis.call('HMGET', KEYS[5], 'state', 'reason', 'node_id', 'nodes',
  'started_ms', 'duration_s', 'size_bytes', 'gaps')
local before = known[1]

local function has(nodes, node)
  for _, each in ipairs(nodes) do
    if each == node then return true end
  end
  return false
end

-- What another node has told last is kept beside this, unless one of the two has read what the other has recorded.
local from_other = before and ask.node_id ~= '' and known[3] and known[3] ~= '' and known[3] ~= ask.node_id
local has_read_other = from_other and has(ask.nodes, known[3])
if from_other and not has_read_other and has(cjson.decode(known[4] or '[]'), ask.node_id)
  and (before ~= 'recording' or ask.state == 'recording') then
  return {before == 'recording' and 'ok' or 'over'}
end
local function keep(node, of)
  redis.call('HSET', KEYS[5], 'part:' .. node, cjson.encode(of))
end
local function forget_read()
  for _, node in ipairs(ask.nodes) do
    redis.call('HDEL', KEYS[5], 'part:' .. node)
  end
end

if before and before ~= 'recording' then
  if has_read_other then
    redis.call('HSET', KEYS[5], unpack(ask.record))
    redis.call('HSET', KEYS[5], 'reason', known[2], 'node_id', ask.node_id)
    forget_read()
  elseif from_other then
    local of = {}
    for index = 1, #ask.record, 2 do of[ask.record[index]] = ask.record[index + 1] end
    keep(ask.node_id, {
      started_ms = of.started_ms, duration_s = of.duration_s, size_bytes = of.size_bytes, gaps = of.gaps,
    })
  end
  return {'over'}
end
if from_other and not has_read_other then
  keep(known[3], {started_ms = known[5], duration_s = known[6], size_bytes = known[7], gaps = known[8]})
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
redis.call('HSET', KEYS[5], 'state', ask.state, 'node_id', ask.node_id, unpack(ask.record))
forget_read()
if ask.state ~= 'recording' then
  redis.call('SREM', KEYS[6], ask.recording_id)
  redis.call('ZADD', KEYS[7], ask.at_epoch_s, ask.recording_id)
end
if ask.state ~= before then
  append_foreign_event(stream, ask.type, ask.session_id)
end
return {'ok'}
