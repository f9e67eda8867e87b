-- What is used and held, scope by scope. What was lost by now is taken up first.
-- KEYS: 1 scopes (hash), 2 held (hash), 3 due (sorted set), 4 lost (hash)
-- ARGV: 1 offset_us added to the clock, 2 scopes and limits (JSON, as `admit.lua` reads them)
-- Result: array of 1 now (time_us), 2 us until the day ends, 3 us until the month ends, 4 scopes: per scope an array of
--         requests used of the minute's, tokens used of it (rounded up), in flight, then of the day, the month and for
--         ever each: tokens spent, micro-dollars spent, tokens held, micro-dollars held.
local now = clock(tonumber(ARGV[1]))
local asked = cjson.decode(ARGV[2])
local book = open_book(KEYS[1])
sweep(book, KEYS[2], KEYS[3], KEYS[4], now)
book:write()

local names = {'c'}
for _, scope in ipairs(asked) do
  names[#names + 1] = scope[1]
end
book:read(names)
local day = math.max(math.floor(now / DAY_US), book.scopes['c'][8])
local month, next_month_day = month_of(day)
local looks = {}
for place, limits in ipairs(asked) do
  local scope = book.scopes[limits[1]]
  roll(scope, day, month)
  local look = {}
  for kind, bucket in ipairs({1, 4}) do
    leak(scope, bucket, now)
    if limits[kind + 1] >= 0 then
      fit_bucket(scope, bucket, limits[kind + 1], kind == 1 and 1 or 0, now)
    end
    look[kind] = math.ceil(scope[bucket] - SLACK)
  end
  look[3] = scope[7]
  for _, at in ipairs(WINDOW) do
    for offset = 1, 4 do
      look[#look + 1] = scope[at + offset]
    end
  end
  looks[place] = look
end
return {now, (day + 1) * DAY_US - now, next_month_day * DAY_US - now, looks}
