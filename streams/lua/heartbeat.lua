-- A media node says that it is there. KEYS: its hash, all nodes, then stream hash and session hash of each session it hosts.
-- ARGV: its id, lease in ms, for how many s a node that is gone is remembered, its fields and its sessions as JSON.
-- A session that is not this node's any more gets nothing written: its place in the list is returned, from 1; that of one
-- that Redis knows nothing of as a negative number. Returns {seconds in which it is to drain, or '', places…}.

local node_id, lease_ms, remembered_s = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now_s = string.format('%d.%06d', clock[1], clock[2])
redis.call('HSET', KEYS[1], unpack(cjson.decode(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], lease_ms)
redis.call('ZADD', KEYS[2], now_s, node_id)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_s - remembered_s)

local answer = {redis.call('HGET', KEYS[1], 'drain_s') or ''}
for place, session in ipairs(cjson.decode(ARGV[5])) do
  local stream_key, session_key = KEYS[2 * place + 1], KEYS[2 * place + 2]
  local stream = redis.call('HMGET', stream_key, 'session_id', 'epoch')
  if tonumber(stream[2] or -1) < tonumber(session.epoch) then
    -- It goes on: a Redis that has lost its data, or its newest, ends nobody's show.
    answer[#answer + 1] = -place
  elseif stream[1] ~= session.session_id or stream[2] ~= session.epoch then
    answer[#answer + 1] = place
  elseif redis.call('EXISTS', session_key) == 1 then
    redis.call('HSET', session_key, unpack(session.fields))
  end
end
return answer
