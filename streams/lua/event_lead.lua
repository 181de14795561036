-- Take the lead, or keep it. KEYS: lease. ARGV: who asks, how long it holds in ms. Returns 1, or 0 when another leads.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
