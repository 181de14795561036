-- A new secret; the one before signs beside it for a while. KEYS: webhook hash.
-- ARGV: env, new secret, until when the old one signs in ms. Returns 1, or 0 when the environment has no such webhook.

local values = redis.call('HMGET', KEYS[1], 'env', 'secret')
if values[1] ~= ARGV[1] then
  return 0
end
if values[2] ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'secret', ARGV[2], 'previous_secret', values[2], 'previous_until_ms', ARGV[3])
end
return 1
