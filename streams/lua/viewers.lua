-- What one origin counts, of several streams.
-- KEYS: the hash of each stream. ARGV: who counts, seconds for which that holds, then how many players by stream.
local now_s = tonumber(redis.call('TIME')[1])
for index, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[1], ARGV[index + 2] .. ' ' .. (now_s + ARGV[2]))
  redis.call('EXPIRE', key, ARGV[2])
end
