-- A publisher was accepted: claim the stream for a new session, or for the one it has, if the node that hosts that is gone
-- or has no encoder that delivers. Follows transition.lua. KEYS[5] are all nodes by when they were last heard of.
-- Returns {'ok' or 'resumed', from, stream hash as a flat list, checkpoint}, {'revoked'},
-- {'busy', state, its node, when that was last heard of} or {'stranded', state, session id, epoch}.

local stream = read_stream()
if not stream.state or stream.key_hash ~= ask.key_hash then
  return {'revoked'}
end
local session = redis.call('HMGET', KEYS[2], 'node_id', 'delivering', 'checkpoint')
local host, delivering, checkpoint = session[1], session[2], session[3]

local function claimed(from)
  local outcome = stream.session_id == ask.session_id and 'ok' or 'resumed'
  return {outcome, from, redis.call('HGETALL', KEYS[1]), checkpoint or ''}
end

local clock = redis.call('TIME')
local now_s = string.format('%d.%06d', clock[1], clock[2])

local function host_by_us(session_id)
  local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
  redis.call('HSET', KEYS[1], 'session_id', session_id, 'node_id', ask.node_id)
  redis.call('HSET', KEYS[2], 'session_id', session_id, 'node_id', ask.node_id, 'epoch', epoch)
  redis.call('HSET', KEYS[3], ask.stream_id, ask.node_id)
  -- A claim is as good a sign of life as a heartbeat.
  redis.call('ZADD', KEYS[5], now_s, ask.node_id)
end

if stream.last_event_id == ask.event_id then
  -- The client asks again because the first answer was lost on its way.
  return claimed(stream.state)
end
local row = ask.rows[stream.state]
if row then
  redis.call('DEL', KEYS[2])
  host_by_us(ask.session_id)
  redis.call('HSET', KEYS[2], 'begun_at', ask.at_s)
  write_transition(stream, row, ask.session_id)
  stream.session_id, checkpoint = ask.session_id, nil
  return claimed(stream.state)
end

local heard_s = host and redis.call('ZSCORE', KEYS[5], host) or '0'
local silent_s = tonumber(now_s) - tonumber(heard_s)
if host == ask.node_id or (delivering ~= '0' and silent_s < tonumber(ask.taken_for_dead_s)) then
  return {'busy', stream.state, host or '', heard_s}
end
if stream.state == 'live' and not checkpoint then
  -- Nobody knows how far it has come: it can't be gone on with.
  return {'stranded', stream.state, stream.session_id, stream.epoch}
end
host_by_us(stream.session_id)
redis.call('HSET', KEYS[2], 'delivering', '1')
ask.reason = ask.resumed_reason
write_transition(stream, ask.resumed_rows[stream.state], stream.session_id)
return claimed(stream.state)
