-- Book what requests used of which nothing was held: one batch of one gateway, once, however often it is sent.
-- KEYS: 1 scopes (hash), 2 number of the last batch that this gateway has booked for this customer (string),
--       3 ledger (stream), 4 closing balances (hash)
-- ARGV: 1 number of the batch, higher than those before it, 2 how long that is remembered (ms), 3 offset_us,
--       4 requests (JSON: array of [scopes (array of field names), admitted (time_us, of the gateway's clock), tokens,
--       micro-dollars, row of the ledger, group of the figures, figures (all three as `settle.lua` has them)]),
--       5 how long rows are kept (us, 0: not at all), 6 what keys of a day's figures begin with, 7 how long a day's
--       figures are kept (s)
-- Result: 1 booked now, 0 it has been booked before.
if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[1]) then
  return 0
end
local TRIMMED_WITH_A_ROW = 4
local now, keep_us = clock(tonumber(ARGV[3])), tonumber(ARGV[5])
local book, closing = open_book(KEYS[1]), open_closing(KEYS[4])
local requests = cjson.decode(ARGV[4])
for _, request in ipairs(requests) do
  local names, tokens, microusd, group = request[1], request[3], request[4], request[6]
  -- A gateway's clock that is fast must not begin a day before its time.
  local admitted = math.min(request[2], now)
  local day = math.floor(admitted / DAY_US)
  local month = month_of(day)
  local windows_of = {admitted, day, month}
  book:read(names)
  for _, name in ipairs(names) do
    local scope = book.scopes[name]
    roll(scope, day, month)
    add(scope, windows_of, 1, tokens)
    add(scope, windows_of, 2, microusd)
  end
  append(KEYS[3], closing, now, keep_us, 'row', request[5], names, tokens, microusd, day)
  if group ~= '' then
    add_figures(ARGV[6] .. whole(day), group, request[7], ARGV[7])
  end
end
trim(KEYS[3], closing, now - keep_us, TRIMMED_WITH_A_ROW * #requests)
closing:write()
book:write()
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
