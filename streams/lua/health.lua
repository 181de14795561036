-- The ingest health of a session; one that is fenced off writes nothing. KEYS: stream hash, health.
-- ARGV: epoch, health as JSON or '' when the encoder has left, its time to live in s.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  return redis.call('DEL', KEYS[2])
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
