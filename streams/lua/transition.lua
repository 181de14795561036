-- Shared by all scripts that change a stream, which follow below it: whatever changes appends one event.
-- KEYS[1] is the stream's hash, KEYS[4] the stream of events; of a session KEYS[2] is its hash, KEYS[3] all sessions.
-- The names of index and key strings are made here from `ask.prefix`: which ones are needed, the stream's hash says.

local ask = cjson.decode(ARGV[1])

local function read_stream()
  local names = {'state', 'session_id', 'epoch', 'key_hash', 'last_event_id', 'env', 'edge_id', 'position'}
  local values = redis.call('HMGET', KEYS[1], unpack(names))
  local stream = {}
  for i, name in ipairs(names) do
    stream[name] = values[i]
  end
  return stream
end

local function index_of(stream, state)
  local all = ask.prefix .. 'env:' .. stream.env .. ':streams'
  return state and all .. ':' .. state or all
end

local function append_event(stream, type, state, session_id, reason)
  local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
  redis.call('HSET', KEYS[1], 'last_event_id', ask.event_id)
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ask.events_max, '*',
    'id', ask.event_id, 'type', type, 'env', stream.env, 'streamId', ask.stream_id, 'edgeId', stream.edge_id,
    'sessionId', session_id or '', 'state', state, 'at', ask.at_ms, 'seq', seq, 'reason', reason, 'data', ask.data)
end

local function write_transition(stream, row, session_id)
  local to, type = row[1], row[2]
  redis.call('HSET', KEYS[1], 'state', to, 'reason', ask.reason)
  if to ~= stream.state then
    redis.call('ZREM', index_of(stream, stream.state), ask.stream_id)
    redis.call('ZADD', index_of(stream, to), stream.position, ask.stream_id)
  end
  if to == 'live' and stream.state ~= 'live' then
    redis.call('HSET', KEYS[1], 'started_at', ask.at_s)
  end
  if to == 'ended' or to == 'error' then
    redis.call('HSET', KEYS[1], 'ended_at', ask.at_s)
    redis.call('DEL', KEYS[2])
    redis.call('HDEL', KEYS[3], ask.stream_id)
  end
  append_event(stream, type, to, session_id, ask.reason)
end

-- An event of a stream by somebody else than its session. Whoever looks for the session's last event, to see whether it
-- was applied, still finds it. A stream that was deleted has no events any more.
local function append_foreign_event(stream, type, session_id)
  if stream.state then
    append_event(stream, type, stream.state, session_id, ask.reason)
    redis.call('HSET', KEYS[1], 'last_event_id', stream.last_event_id or '')
  end
end
