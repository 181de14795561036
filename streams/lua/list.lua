-- A page of an index, newest first. KEYS: index. ARGV: limit, offset, position to begin below or '', prefix of hashes.
-- Returns {size of the index, is there more (0 or 1), stream hash as a flat list in JSON, …}: one text for each stream
-- is read many times faster than its thirty fields.

local index, limit, start, below = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if below ~= '' then
  -- By rank, because a page deep in the list is then found as fast as the first.
  start = start + redis.call('ZCOUNT', index, below, '+inf')
end
-- One more than asked tells whether there is a next page.
local ids = redis.call('ZREVRANGE', index, start, start + limit)
local page = {redis.call('ZCARD', index), #ids > limit and 1 or 0}
for i = 1, math.min(#ids, limit) do
  page[#page + 1] = cjson.encode(redis.call('HGETALL', ARGV[4] .. ids[i]))
end
return page
