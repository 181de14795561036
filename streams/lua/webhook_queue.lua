-- Shared by all scripts that work on deliveries, which follow below it.
-- ARGV[1] is the prefix of all keys, ARGV[2..4] how many deliveries a webhook may have pending, delivered and dead.
--
-- A webhook W has `webhook:W` (hash), `webhook:W:delivery:ID` (hash), the ids by number in `webhook:W:pending`,
-- `:delivered` and `:dead` (sorted sets), and lanes: `webhook:W:lane:L` (list) holds ids in the order of delivery, and
-- only the first of a lane is ever sent. `webhook:W:due` (sorted set) has every lane that is not empty, by the time in
-- ms at which its first is due, and `webhooks:busy` every enabled webhook that has lanes, by the earliest of them.

local prefix = ARGV[1]
local most = {pending = tonumber(ARGV[2]), delivered = tonumber(ARGV[3]), dead = tonumber(ARGV[4])}
local busy = prefix .. 'webhooks:busy'

local function base_of(webhook)
  return prefix .. 'webhook:' .. webhook
end

local function delivery_of(webhook, id)
  return base_of(webhook) .. ':delivery:' .. id
end

local function plan(webhook)
  local first = redis.call('ZRANGE', base_of(webhook) .. ':due', 0, 0, 'WITHSCORES')
  if first[1] and redis.call('HGET', base_of(webhook), 'enabled') == '1' then
    redis.call('ZADD', busy, first[2], webhook)
  else
    redis.call('ZREM', busy, webhook)
  end
end

-- Into the history of a state, which forgets its oldest.
local function settle(webhook, id, number, state)
  local history = base_of(webhook) .. ':' .. state
  redis.call('ZREM', base_of(webhook) .. ':pending', id)
  redis.call('ZADD', history, number, id)
  redis.call('HSET', delivery_of(webhook, id), 'state', state)
  redis.call('HDEL', delivery_of(webhook, id), 'next_ms')
  local excess = redis.call('ZCARD', history) - most[state]
  if excess > 0 then
    for _, old in ipairs(redis.call('ZRANGE', history, 0, excess - 1)) do
      redis.call('DEL', delivery_of(webhook, old))
    end
    redis.call('ZREMRANGEBYRANK', history, 0, excess - 1)
  end
end

local function push(webhook, id, number, lane, now_ms)
  redis.call('HSET', delivery_of(webhook, id), 'state', 'pending', 'lane', lane)
  redis.call('ZADD', base_of(webhook) .. ':pending', number, id)
  if redis.call('RPUSH', base_of(webhook) .. ':lane:' .. lane, id) == 1 then
    redis.call('ZADD', base_of(webhook) .. ':due', now_ms, lane)
    plan(webhook)
  end
end

-- A new delivery; one that is there already stays as it is.
local function enqueue(webhook, event, now_ms, give_up_ms)
  local key = delivery_of(webhook, event.id)
  if redis.call('EXISTS', key) == 1 then
    return
  end
  local number = redis.call('HINCRBY', base_of(webhook), 'number', 1)
  redis.call('HSET', key, 'id', event.id, 'number', number, 'type', event.type, 'stream_id', event.stream_id,
    'seq', event.seq, 'body', event.body, 'attempts', 0, 'tries', 0, 'created_ms', now_ms, 'give_up_ms', give_up_ms)
  if redis.call('ZCARD', base_of(webhook) .. ':pending') >= most.pending then
    redis.call('HSET', key, 'error', 'not tried: ' .. most.pending .. ' deliveries were waiting already')
    settle(webhook, event.id, number, 'dead')
    return
  end
  push(webhook, event.id, number, event.lane, now_ms)
end
