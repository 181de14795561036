-- A new webhook. KEYS: webhook hash, webhooks of the environment. ARGV: webhook id, position, at most how many in the
-- environment, hash fields and values. Returns 1, or 0 when the environment is full.

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- The client asks again because the first answer was lost on its way.
  return 1
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
