-- Reservations whose gateway was not heard of; their money is booked as spent.
-- KEYS: 1 scopes (hash), 2 held (hash), 3 due (sorted set), 4 lost (hash)
-- ARGV: 1 offset_us added to the clock
-- Result: array of one array each: id, admitted (time_us), tokens, micro-dollars, scopes (one a line), about (opaque).
local now = clock(tonumber(ARGV[1]))
local book = open_book(KEYS[1])
sweep(book, KEYS[2], KEYS[3], KEYS[4], now)
book:write()
local found = {}
local all = redis.call('HGETALL', KEYS[4])
for place = 1, #all, 2 do
  local reservation = cmsgpack.unpack(all[place + 1])
  found[#found + 1] = {all[place], reservation[1], reservation[4], reservation[5], table.concat(reservation[7], '\n'),
    reservation[10]}
end
return found
