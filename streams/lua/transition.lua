-- Shared by the scripts below it: writes one row of the state table, hash and event together.
-- KEYS: stream hash, session hash, sessions hash, events stream. `ask` is ARGV[1] decoded.

local function read_stream()
  local values = redis.call('HMGET', KEYS[1], 'state', 'session_id', 'epoch', 'key_hash', 'last_event_id')
  return {state = values[1], session_id = values[2], epoch = values[3], key_hash = values[4], last_event_id = values[5]}
end

local function write_transition(ask, from, row, session_id)
  local to, type = row[1], row[2]
  local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
  redis.call('HSET', KEYS[1], 'state', to, 'reason', ask.reason, 'last_event_id', ask.event_id)
  if to == 'live' and from ~= 'live' then
    redis.call('HSET', KEYS[1], 'started_at', ask.at_s)
  end
  if to == 'ended' or to == 'error' then
    redis.call('HSET', KEYS[1], 'ended_at', ask.at_s)
    redis.call('DEL', KEYS[2])
    redis.call('HDEL', KEYS[3], ask.stream_id)
  end
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ask.events_max, '*',
    'id', ask.event_id, 'type', type, 'streamId', ask.stream_id, 'edgeId', redis.call('HGET', KEYS[1], 'edge_id'),
    'sessionId', session_id, 'state', to, 'at', ask.at_ms, 'seq', seq, 'reason', ask.reason, 'data', ask.data)
end
