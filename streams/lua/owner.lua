-- Which node has the media of an edge id. KEYS: edge id. ARGV: key prefix.
-- Returns {node id, its URL or '', session id, state}, or {} when there is no such stream or it had no session yet.

local stream_id = redis.call('GET', KEYS[1])
if not stream_id then
  return {}
end
local stream = redis.call('HMGET', ARGV[1] .. 'stream:' .. stream_id, 'node_id', 'session_id', 'state')
if not stream[1] then
  return {}
end
local url = redis.call('HGET', ARGV[1] .. 'node:' .. stream[1], 'url')
return {stream[1], url or '', stream[2], stream[3]}
