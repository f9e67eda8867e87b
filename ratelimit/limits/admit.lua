-- Hold what a request may use against every limit of its customer, key and model: all of it or nothing.
-- KEYS: 1 scopes (hash), 2 held (hash: reservation id -> reservation), 3 due (sorted set: reservation id -> time_us),
--       4 lost (hash like held), 5 mark of a reservation that is over already (string)
-- ARGV: 1 reservation id, 2 step (1, or one more for each extension), 3 offset_us added to the clock,
--       4 how long it is held without being renewed (us), 5 scopes and limits (JSON: array of [field, then nine limits
--       in the order of `limits/types.py`, dollars in micro-dollars, -1 = none]; the customer's first),
--       6 tokens at most, 7 micro-dollars at most, 8 tokens for the minute, 9 soft ratio, 10 what it is about (JSON)
-- Result: array of 1 state (1 passed, 0 refused, -1 over already), 2 admitted (time_us),
--         3-5 requests per minute: scope (1..n, 0 none), remaining, us until nothing is used,
--         6-8 tokens per minute: the same,
--         9-12 the window nearest to its limit, if above the soft ratio: scope (0 none), limit (1..9), used, maximum,
--         13-17 what refused: scope (0 none), limit (1..9), used, us until it begins anew (-1 never), us until this
--         request would pass (-1 never),
--         18-19 the least that is left of any window: tokens, micro-dollars (-1 no limit),
--         20-22 the window that is, or will be, the first whose spent tokens reach the soft ratio: scope (0 none), tokens
--         left until then (0 or less: reached), us until it begins anew (-1 never),
--         23-25 the same of micro-dollars.
--         Figures are whole; used of dollars is in micro-dollars.
-- A second call with the same id and step takes nothing and answers with the figures as they are. One that was taken
-- for lost is brought back first: whoever asks for it is alive.
local id, step = ARGV[1], tonumber(ARGV[2])
local now = clock(tonumber(ARGV[3]))
local asked = cjson.decode(ARGV[5])
local tokens, microusd, minute_tokens = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local soft_ratio = tonumber(ARGV[9])

if redis.call('EXISTS', KEYS[5]) == 1 then
  return {-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0}
end
local book = open_book(KEYS[1])
sweep(book, KEYS[2], KEYS[3], KEYS[4], now)

local names = {}
for place, scope in ipairs(asked) do
  names[place] = scope[1]
end
book:read(names)
-- The customer's scope sees every request, so that its windows are the latest.
local customer = book.scopes[names[1]]
local day = math.max(math.floor(now / DAY_US), customer[8])
local month, next_month_day = month_of(day)
local ends_us = {(day + 1) * DAY_US - now, next_month_day * DAY_US - now, -1}

local due = whole(now + tonumber(ARGV[4]))
local packed = redis.call('HGET', KEYS[2], id)
local reservation = packed and cmsgpack.unpack(packed)
if not reservation then
  local lost = redis.call('HGET', KEYS[4], id)
  reservation = lost and revive(book, KEYS[2], KEYS[3], KEYS[4], id, lost, due)
end
local repeated = reservation and reservation[8] >= step
local first = not reservation
local windows_of = reservation or {now, day, month}

local refused = {0, 0, 0, 0, 0}
local function refuse(scope, limit, used, reset_us, retry_us)
  -- Of several the one that takes longest; what never passes takes longest of all.
  local wait, longest = retry_us < 0 and math.huge or retry_us, refused[5] < 0 and math.huge or refused[5]
  if refused[1] == 0 or wait > longest then
    refused = {scope, limit, used, reset_us, retry_us}
  end
end

local charges = {}
local buckets = {{}, {}}
local room = {-1, -1}
for place, limits in ipairs(asked) do
  local scope = book.scopes[names[place]]
  roll(scope, day, month)
  charges[place] = -1
  for kind, bucket_place in ipairs({1, 4}) do
    local limit = limits[kind + 1]
    if limit >= 0 then
      local capacity = fit_bucket(scope, bucket_place, limit, kind == 1 and 1 or 0, now)
      local charge = kind == 1 and (first and 1 or 0) or math.min(minute_tokens, capacity)
      if kind == 2 then
        charges[place] = charge
      end
      local lacking = scope[bucket_place] + charge - capacity
      if not repeated and (lacking > SLACK or limit == 0) and (kind == 2 or first) then
        local reset = limit > 0 and math.ceil(scope[bucket_place] * MINUTE_US / limit) or -1
        local retry = limit > 0 and math.ceil(lacking * MINUTE_US / limit) or -1
        refuse(place, kind, math.ceil(scope[bucket_place] - SLACK), reset, retry)
      end
      local list = buckets[kind]
      list[#list + 1] = {place = place, at = bucket_place, scope = scope, limit = limit, capacity = capacity, charge = charge}
    end
  end
  if limits[4] >= 0 and first and scope[7] + 1 > limits[4] then
    refuse(place, 3, scope[7], -1, limits[4] > 0 and 1000000 or -1)
  end
  if not repeated then
    for window = 1, 3 do
      local at = WINDOW[window]
      for kind = 0, 1 do
        local limit = limits[5 + 3 * kind + window - 1]
        local amount = kind == 0 and tokens or microusd
        if limit >= 0 then
          local spent, held = scope[at + 1 + kind], scope[at + 3 + kind]
          local left = math.max(0, limit - spent - held)
          room[kind + 1] = room[kind + 1] < 0 and left or math.min(room[kind + 1], left)
          if spent + held + amount > limit or limit == 0 then
            -- Where only what others hold is in the way, it may be free as soon as one of them is settled.
            local retry = spent + amount <= limit and limit > 0 and 1000000 or ends_us[window]
            refuse(place, 3 + 3 * kind + window, spent + held, ends_us[window], retry)
          end
        end
      end
    end
  end
end

local passed = refused[1] == 0
if passed and not repeated then
  for place, name in ipairs(names) do
    local scope = book.scopes[name]
    if first then
      scope[7] = scope[7] + 1
    end
    add(scope, windows_of, 3, tokens)
    add(scope, windows_of, 4, microusd)
  end
  for kind = 1, 2 do
    for _, bucket in ipairs(buckets[kind]) do
      bucket.scope[bucket.at] = bucket.scope[bucket.at] + bucket.charge
    end
  end
  if first then
    reservation = {now, day, month, tokens, microusd, charges, names, step, 1, ARGV[10]}
  else
    reservation[4], reservation[5], reservation[8] = reservation[4] + tokens, reservation[5] + microusd, step
    for place, charge in ipairs(charges) do
      if charge >= 0 then
        reservation[6][place] = math.max(0, reservation[6][place]) + charge
      end
    end
    reservation[10] = ARGV[10]
  end
  redis.call('HSET', KEYS[2], id, cmsgpack.pack(reservation))
  redis.call('ZADD', KEYS[3], due, id)
end
-- Refused, too: what was swept and what has leaked is written down.
book:write()

local answer = {passed and 1 or 0, windows_of[1]}
for kind = 1, 2 do
  local tight, remaining, reset = 0, 0, 0
  for _, bucket in ipairs(buckets[kind]) do
    local used = bucket.scope[bucket.at]
    local left = math.floor(math.max(0, bucket.capacity - used) + SLACK)
    local full_us = bucket.limit > 0 and math.ceil(used * MINUTE_US / bucket.limit) or 0
    local tighter = tight == 0 or left < remaining or left == remaining and full_us > reset
    if not passed and refused[2] == kind then
      tighter = bucket.place == refused[1]
    end
    if tighter then
      tight, remaining, reset = bucket.place, left, full_us
    end
  end
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = tight, remaining, reset
end

local soft = {0, 0, 0, 0}
local highest = soft_ratio
local margins = {{0, 0, 0}, {0, 0, 0}}
for place, limits in ipairs(asked) do
  local scope = book.scopes[names[place]]
  for window = 1, 3 do
    for kind = 0, 1 do
      local limit = limits[5 + 3 * kind + window - 1]
      local at = WINDOW[window]
      local used = scope[at + 1 + kind] + scope[at + 3 + kind]
      if limit > 0 and used / limit >= highest then
        highest = used / limit
        soft = {place, 3 + 3 * kind + window, used, limit}
      end
      -- What is held does not count here: it comes back, what is spent does not, so that this holds until the window ends.
      local left = math.ceil(soft_ratio * limit - scope[at + 1 + kind] - SLACK)
      local margin = margins[kind + 1]
      if limit > 0 and (margin[1] == 0 or left < margin[2]) then
        margins[kind + 1] = {place, left, ends_us[window]}
      end
    end
  end
end
for _, part in ipairs({soft, refused, room, margins[1], margins[2]}) do
  for _, figure in ipairs(part) do
    answer[#answer + 1] = figure
  end
end
return answer
