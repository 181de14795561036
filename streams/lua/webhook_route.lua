-- Entries of the events stream into the queues of the webhooks that want them, and acknowledged, all at once.
-- Follows webhook_queue.lua. KEYS: lease, events, events that were set aside, latest seq of every stream.
-- ARGV[5..9]: who asks, group, now in ms, give up at ms, at most how many set aside; then for every entry
-- entry id, event id, env, stream id, type, seq, body: or entry id, '', '', '', '', '', what is wrong with it.
-- Returns {'lost'}, or {'ok', {stream id, seq before, seq, …}, {entry id, reason, …}}: breaks in the numbering, and what
-- was set aside.

if redis.call('GET', KEYS[1]) ~= ARGV[5] then
  return {'lost'}
end
local group, now_ms, give_up_ms = ARGV[6], ARGV[7], ARGV[8]
local breaks, aside = {}, {}
local webhooks_of_env = {}

local function webhooks_of(env)
  if not webhooks_of_env[env] then
    local webhooks = {}
    for _, id in ipairs(redis.call('ZRANGE', prefix .. 'env:' .. env .. ':webhooks', 0, -1)) do
      local values = redis.call('HMGET', base_of(id), 'enabled', 'types')
      if values[1] == '1' then
        webhooks[#webhooks + 1] = {id = id, types = values[2]}
      end
    end
    webhooks_of_env[env] = webhooks
  end
  return webhooks_of_env[env]
end

local function route(event)
  local before = tonumber(redis.call('HGET', KEYS[4], event.stream_id) or '0')
  if tonumber(event.seq) ~= before + 1 then
    breaks[#breaks + 1] = event.stream_id
    breaks[#breaks + 1] = before
    breaks[#breaks + 1] = tonumber(event.seq)
  end
  if event.type == 'stream.deleted' then
    redis.call('HDEL', KEYS[4], event.stream_id)
  else
    redis.call('HSET', KEYS[4], event.stream_id, event.seq)
  end
  for _, webhook in ipairs(webhooks_of(event.env)) do
    if webhook.types == '' or string.find(webhook.types, ' ' .. event.type .. ' ', 1, true) then
      enqueue(webhook.id, event, now_ms, give_up_ms)
    end
  end
end

local function set_aside(entry, reason)
  local found = redis.call('XRANGE', KEYS[2], entry, entry)
  local fields = found[1] and cjson.encode(found[1][2]) or '[]'
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], '*', 'entryId', entry, 'reason', reason, 'fields', fields)
  aside[#aside + 1] = entry
  aside[#aside + 1] = reason
end

for i = 10, #ARGV, 7 do
  local entry = ARGV[i]
  -- An entry that is acknowledged already was handled: the client asks again because the answer was lost on its way.
  if redis.call('XACK', KEYS[2], group, entry) == 1 then
    if ARGV[i + 1] == '' then
      set_aside(entry, ARGV[i + 6])
    else
      local done, problem = pcall(route, {
        id = ARGV[i + 1], env = ARGV[i + 2], stream_id = ARGV[i + 3], lane = ARGV[i + 3], type = ARGV[i + 4],
        seq = ARGV[i + 5], body = ARGV[i + 6],
      })
      if not done then
        set_aside(entry, type(problem) == 'table' and problem.err or tostring(problem))
      end
    end
  end
end
return {'ok', breaks, aside}
