-- Give back the money of lost reservations: an operator knows that they never cost anything.
-- KEYS: 1 scopes (hash), 2 held (hash), 3 due (sorted set), 4 lost (hash), 5 ledger (stream), 6 closing balances (hash)
-- ARGV: 1 offset_us added to the clock, 2 only those admitted before (time_us), 3 how many at most,
--       4 how long rows are kept (us), 5 what marks begin with, 6 how long a mark is left (ms),
--       7... reservation ids (none: all of them)
-- Result: array of one array each: id, admitted (time_us), tokens, micro-dollars, scopes (one a line), about (opaque).
-- The mark says `released`: a gateway that settles after all is booked then, once.
local now = clock(tonumber(ARGV[1]))
local before, most, keep_us = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local book = open_book(KEYS[1])
sweep(book, KEYS[2], KEYS[3], KEYS[4], now)
local ids = {}
if #ARGV > 6 then
  for index = 7, #ARGV do
    ids[#ids + 1] = ARGV[index]
  end
else
  ids = redis.call('HKEYS', KEYS[4])
end
local closing = open_closing(KEYS[6])
local released = {}
for _, id in ipairs(ids) do
  local packed = #released < most and redis.call('HGET', KEYS[4], id)
  local reservation = packed and cmsgpack.unpack(packed)
  if reservation and reservation[1] < before then
    local tokens, microusd = reservation[4], reservation[5]
    book:read(reservation[7])
    for _, name in ipairs(reservation[7]) do
      local scope = book.scopes[name]
      add(scope, reservation, 1, -tokens)
      add(scope, reservation, 2, -microusd)
    end
    redis.call('HDEL', KEYS[4], id)
    redis.call('SET', ARGV[5] .. id, 'released', 'PX', ARGV[6])
    append(KEYS[5], closing, now, keep_us, 'released', cjson.encode({id = id, tokens = whole(tokens),
      microusd = whole(microusd), admitted_us = whole(reservation[1]), about = reservation[10]}),
      reservation[7], 0, 0, reservation[2])
    released[#released + 1] = {id, reservation[1], tokens, microusd, table.concat(reservation[7], '\n'), reservation[10]}
  end
end
closing:write()
book:write()
return released
