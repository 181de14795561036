-- One request with an API key: who is it, and is it within its rate? KEYS: API key hash, its bucket.
-- ARGV: microseconds per request, burst. The bucket is one number, the time at which it is full again (the generic
-- cell rate algorithm), and expires then.
-- Returns {} for an unknown or revoked key, else {id, env, scope, 1 or 0, requests left, wait in µs, µs until full}.

local key = redis.call('HMGET', KEYS[1], 'id', 'env', 'scope', 'revoked_at')
if not key[1] or key[4] then
  return {}
end
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local interval_us, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_us = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), now_us)
local wait_us = full_us + interval_us - burst * interval_us - now_us
if wait_us > 0 then
  return {key[1], key[2], key[3], 0, 0, math.ceil(wait_us), math.ceil(full_us - now_us)}
end
full_us = full_us + interval_us
redis.call('SET', KEYS[2], string.format('%.0f', full_us), 'PX', math.ceil((full_us - now_us) / 1000) + 1)
return {key[1], key[2], key[3], 1, math.floor(burst - (full_us - now_us) / interval_us), 0, math.ceil(full_us - now_us)}
