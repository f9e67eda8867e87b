-- Book what requests used of which nothing was held: one batch of one gateway, once, however often it is sent.
-- KEYS: 1 scopes (hash), 2 number of the last batch that this gateway has booked for this customer (string),
--       3 ledger (stream)
-- ARGV: 1 number of the batch, higher than those before it, 2 how long that is remembered (ms), 3 offset_us,
--       4 requests (JSON: array of [scopes (array of field names), admitted (time_us, of the gateway's clock), tokens,
--       micro-dollars, row of the ledger (opaque, empty for none)])
-- Result: 1 booked now, 0 it has been booked before.
if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[1]) then
  return 0
end
local now = clock(tonumber(ARGV[3]))
local book = open_book(KEYS[1])
for _, request in ipairs(cjson.decode(ARGV[4])) do
  local names, tokens, microusd, row = request[1], request[3], request[4], request[5]
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
  if row ~= '' then
    redis.call('XADD', KEYS[3], '*', 'row', row, 'scopes', table.concat(names, '\n'), 'tokens', whole(tokens),
      'microusd', whole(microusd))
  end
end
book:write()
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
