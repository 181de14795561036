-- An API key is let in, unless it is known already; one that was revoked stays revoked.
-- KEYS: API key hash, index of API keys by id. ARGV: id, SHA-256, hash fields and values.
-- Returns the key's hash as a flat list.

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], unpack(ARGV, 3))
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return redis.call('HGETALL', KEYS[1])
