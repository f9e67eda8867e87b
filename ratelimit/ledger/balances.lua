-- Everything that must add up, at one moment; rows are read afterwards, by `older.lua`.
-- KEYS: 1 scopes (hash), 2 closing balances (hash), 3 lost (hash), 4 ledger (stream)
-- Result: array of 1 counters (array of scope, number of its day, of its month, then tokens and micro-dollars of the
--         day, of the month, for ever), 2 closing balances (array of scope, tokens, micro-dollars, requests),
--         3 lost (array of scopes (one a line), day, tokens, micro-dollars, about (opaque)),
--         4 id of the last row ('' none), 5 `through` (see `rows.lua`).
local counters, lost = {}, {}
local uses = redis.call('HGETALL', KEYS[1])
for place = 1, #uses, 2 do
  local scope = cmsgpack.unpack(uses[place + 1])
  counters[#counters + 1] = {uses[place], scope[8], scope[13], scope[9], scope[10], scope[14], scope[15], scope[19], scope[20]}
end
local sums, through = read_closing(KEYS[2])
for _, packed in ipairs(redis.call('HVALS', KEYS[3])) do
  local reservation = cmsgpack.unpack(packed)
  lost[#lost + 1] = {table.concat(reservation[7], '\n'), reservation[2], reservation[4], reservation[5],
    reservation[10]}
end
local last = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
return {counters, sums, lost, last[1] and last[1][1] or '', through}
