-- How many players all origins count of one stream. KEYS: its hash.
local now_s = tonumber(redis.call('TIME')[1])
local total = 0
for _, said in ipairs(redis.call('HVALS', KEYS[1])) do
  local count, until_s = string.match(said, '^(%d+) (%d+)$')
  if tonumber(until_s) >= now_s then
    total = total + count
  end
end
return total
