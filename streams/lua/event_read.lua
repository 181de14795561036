-- The next entries for the group's leader. KEYS: lease, events. ARGV: who asks, group, consumer, at most how many.
-- Whatever was read and not acknowledged comes first, whoever read it: by a leader that crashed, or by a question
-- whose answer was lost on its way. So nothing overtakes it.
-- Returns {'lost'}, or {'ok', entries, ids of entries that were trimmed before they were handled}.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'lost'}
end
if redis.call('XPENDING', KEYS[2], ARGV[2])[1] > 0 then
  local claimed = redis.call('XAUTOCLAIM', KEYS[2], ARGV[2], ARGV[3], 0, '0-0', 'COUNT', ARGV[4])
  return {'ok', claimed[2], claimed[3] or {}}
end
local found = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[2], '>')
return {'ok', found and found[1][2] or {}, {}}
