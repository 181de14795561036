-- Ask a node to drain; it hears of it with its next heartbeat. KEYS: its hash. ARGV: seconds it has.
-- Returns 1, or 0 when the node is not there.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'drain_s', ARGV[1])
return 1
