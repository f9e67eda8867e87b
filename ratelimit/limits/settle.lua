-- End a reservation: what was held comes back, what was used is spent. Once, however often it is called.
-- KEYS: 1 scopes (hash), 2 held (hash), 3 due (sorted set), 4 lost (hash), 5 mark of a reservation that is over (string),
--       6 ledger (stream), 7 closing balances (hash)
-- ARGV: 1 reservation id, 2 offset_us, 3 mode: `held` (only what is held or lost), `unheld` (admitted while the store
--       was away: booked although nothing is held), `void` (never ran: nothing is spent, its request is given back),
--       `unserved` (refused after a first step was used: that is spent, its request is given back),
--       4 how long a mark is left (ms, 0 none), 5 scopes (JSON: array of field names), 6 tokens used,
--       7 micro-dollars used, 8 admitted (time_us; for what is not held), 9 row of the ledger (opaque; empty: its sums only),
--       10 how long rows are kept (us, 0: not at all), 11 what keys of a day's figures begin with, 12 group of the figures
--       (JSON, empty for none), 13 figures (JSON: array of whole numbers), 14 how long a day's figures are kept (s)
-- Result: array of 1 settled now (1 or 0), 2 used more than was held (1 or 0; it is charged in full all the same).
-- More than one, so that what piled up goes some day.
local TRIMMED_WITH_A_ROW = 4
local id, mode = ARGV[1], ARGV[3]
local now = clock(tonumber(ARGV[2]))
local mark_ms, tokens, microusd = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])

local held = redis.call('HGET', KEYS[2], id)
local packed = held or redis.call('HGET', KEYS[4], id)
local mark = redis.call('GET', KEYS[5])
local book = open_book(KEYS[1])
local reservation
if packed then
  reservation = cmsgpack.unpack(packed)
  redis.call('HDEL', held and KEYS[2] or KEYS[4], id)
  if held then
    redis.call('ZREM', KEYS[3], id)
  end
elseif mode == 'unheld' and not mark or mode ~= 'void' and mark == 'released' then
  local admitted = tonumber(ARGV[8]) > 0 and tonumber(ARGV[8]) or now
  local day = math.floor(admitted / DAY_US)
  reservation = {admitted, day, month_of(day), 0, 0, {}, cjson.decode(ARGV[5])}
else
  if mode == 'void' and mark_ms > 0 then
    -- The call that was to hold it may still be on its way.
    redis.call('SET', KEYS[5], '', 'PX', mark_ms)
  end
  return {0, 0}
end

local names = reservation[7]
book:read(names)
for place, name in ipairs(names) do
  local scope = book.scopes[name]
  roll(scope, reservation[2], reservation[3])
  if held then
    scope[7] = math.max(0, scope[7] - 1)
    if mode == 'void' or mode == 'unserved' then
      leak(scope, 1, now)
      scope[1] = math.max(0, scope[1] - reservation[9])
    end
    correct_rate(scope, reservation[6][place], tokens, now)
    add(scope, reservation, 3, -reservation[4])
    add(scope, reservation, 4, -reservation[5])
  elseif packed then
    -- Its slot and rates came back when it was taken for lost; its money was spent.
    correct_rate(scope, math.min(0, reservation[6][place]), tokens, now)
    add(scope, reservation, 1, -reservation[4])
    add(scope, reservation, 2, -reservation[5])
  end
  add(scope, reservation, 1, tokens)
  add(scope, reservation, 2, microusd)
end
book:write()
if mode ~= 'void' then
  local day = reservation[2]
  local closing, keep_us = open_closing(KEYS[7]), tonumber(ARGV[10])
  append(KEYS[6], closing, now, keep_us, 'row', ARGV[9], names, tokens, microusd, day)
  trim(KEYS[6], closing, now - keep_us, TRIMMED_WITH_A_ROW)
  closing:write()
  if ARGV[12] ~= '' then
    add_figures(ARGV[11] .. whole(day), ARGV[12], cjson.decode(ARGV[13]), ARGV[14])
  end
end
if mark_ms > 0 then
  redis.call('SET', KEYS[5], '', 'PX', mark_ms)
elseif mark == 'released' then
  redis.call('SET', KEYS[5], '', 'KEEPTTL')
end
local over = packed and (tokens > reservation[4] or microusd > reservation[5])
return {1, over and 1 or 0}
