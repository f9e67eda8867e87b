-- What the scripts of this folder share; it stands in front of each of them.
--
-- All that is counted for a customer is one hash, a field per scope: `c` the customer, `k:<key id>` a key,
-- `m:<key id>:<name>` a name in the key's list of models. A scope is a packed array:
--   1 requests used, 2 time_us of that figure, 3 requests per minute it leaks by
--   4 tokens used, 5 time_us of that figure, 6 tokens per minute it leaks by
--   7 requests in flight
--   8-12 the day, 13-17 the month, 18-22 for ever: number of the window, tokens spent, micro-dollars spent,
--        tokens held, micro-dollars held. A held amount belongs to a request that is under way.
-- A reservation is a packed array:
--   1 admitted (time_us), 2 day, 3 month, 4 tokens held, 5 micro-dollars held, 6 tokens charged to the minute per
--   scope (-1 none), 7 scopes (field names), 8 last step, 9 requests counted, 10 what it is about (JSON, opaque)
-- Windows are numbered: days since 1970-01-01, months since the year 0, 0 for ever; all of UTC.
local MINUTE_US, DAY_US = 60000000, 86400000000
-- Rounding must not refuse what comes exactly when it was told to.
local SLACK = 0.000001
local SWEPT_AT_ONCE = 100
local WINDOW = {8, 13, 18}

local function clock(offset_us)
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2] + offset_us
end

local function whole(number)
  -- tostring() keeps 14 digits; a time in microseconds has 16.
  return string.format('%.0f', number)
end

-- Days since 1970-01-01 to months since the year 0, and the first day of the month behind it.
local function month_of(day)
  local function civil(days)
    local shifted = days + 719468
    local era = math.floor(shifted / 146097)
    local day_of_era = shifted - era * 146097
    local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
      - math.floor(day_of_era / 146096)) / 365)
    local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
    local part = math.floor((5 * day_of_year + 2) / 153)
    local day_of_month = day_of_year - math.floor((153 * part + 2) / 5) + 1
    local month = part < 10 and part + 3 or part - 9
    local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
    return year * 12 + month - 1, day_of_month
  end
  local month, day_of_month = civil(day)
  local next_day = day - day_of_month + 29
  while civil(next_day) == month do
    next_day = next_day + 1
  end
  return month, next_day
end

-- Scopes read and changed by one script, written back together.
local Book = {}
Book.__index = Book

local function open_book(key)
  return setmetatable({key = key, scopes = {}, order = {}}, Book)
end

local function unpacked(packed)
  return packed and cmsgpack.unpack(packed) or {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
end

function Book:read(names)
  local missing = {}
  for _, name in ipairs(names) do
    if not self.scopes[name] then
      missing[#missing + 1] = name
    end
  end
  if #missing > 0 then
    local packed = redis.call('HMGET', self.key, unpack(missing))
    for place, name in ipairs(missing) do
      self.scopes[name] = unpacked(packed[place])
      self.order[#self.order + 1] = name
    end
  end
end

function Book:write()
  local pairs_to_set = {}
  for _, name in ipairs(self.order) do
    pairs_to_set[#pairs_to_set + 1] = name
    pairs_to_set[#pairs_to_set + 1] = cmsgpack.pack(self.scopes[name])
  end
  if #pairs_to_set > 0 then
    redis.call('HSET', self.key, unpack(pairs_to_set))
  end
end

-- Begin the windows that `day` and `month` are in. An earlier clock (another server after a failover) begins none.
local function roll(scope, day, month)
  if scope[8] < day then
    scope[8], scope[9], scope[10], scope[11], scope[12] = day, 0, 0, 0, 0
  end
  if scope[13] < month then
    scope[13], scope[14], scope[15], scope[16], scope[17] = month, 0, 0, 0, 0
  end
end

-- Let a bucket at `place` leak up to `now`, by the limit it was last used with.
local function leak(scope, place, now)
  local elapsed = math.max(0, now - scope[place + 1])
  scope[place] = math.max(0, scope[place] - elapsed * scope[place + 2] / MINUTE_US)
  scope[place + 1] = now
end

-- Fit a bucket to a limit that may have changed, leaked up to `now`: what was used of the old one is used up in the new
-- one at most, and what went beyond it stays owed. Its capacity.
local function fit_bucket(scope, place, limit, least, now)
  local before = scope[place + 2]
  leak(scope, place, now)
  local old_capacity = before > 0 and math.max(least, before) or 0
  local capacity = limit > 0 and math.max(least, limit) or 0
  if capacity < old_capacity then
    local owed = math.max(0, scope[place] - old_capacity)
    scope[place] = math.min(scope[place], capacity) + owed
  end
  scope[place + 2] = limit
  return capacity
end

-- Add to the windows of a reservation, as far as they are still the scope's: `offset` 1 for tokens spent, 2 for
-- micro-dollars spent, 3 and 4 for what is held.
local function add(scope, reservation, offset, amount)
  if scope[8] == reservation[2] then
    scope[8 + offset] = scope[8 + offset] + amount
  end
  if scope[13] == reservation[3] then
    scope[13 + offset] = scope[13 + offset] + amount
  end
  scope[18 + offset] = scope[18 + offset] + amount
end

local function correct_rate(scope, charged, actual, now)
  if charged >= 0 then
    leak(scope, 4, now)
    scope[4] = math.max(0, scope[4] + actual - charged)
  end
end

-- Take up reservations whose gateway has not been heard of: slots and rates come back, money stays spent.
local function sweep(book, held_key, due_key, lost_key, now)
  local ids = redis.call('ZRANGEBYSCORE', due_key, '-inf', whole(now), 'LIMIT', 0, SWEPT_AT_ONCE)
  for _, id in ipairs(ids) do
    local packed = redis.call('HGET', held_key, id)
    if packed then
      local reservation = cmsgpack.unpack(packed)
      book:read(reservation[7])
      for place, name in ipairs(reservation[7]) do
        local scope = book.scopes[name]
        scope[7] = math.max(0, scope[7] - 1)
        leak(scope, 1, now)
        scope[1] = math.max(0, scope[1] - reservation[9])
        correct_rate(scope, reservation[6][place], 0, now)
        add(scope, reservation, 3, -reservation[4])
        add(scope, reservation, 4, -reservation[5])
        add(scope, reservation, 1, reservation[4])
        add(scope, reservation, 2, reservation[5])
      end
      redis.call('HSET', lost_key, id, packed)
      redis.call('HDEL', held_key, id)
    end
    redis.call('ZREM', due_key, id)
  end
end

-- Bring a reservation back that was taken for lost: its gateway is heard of again. Its slot is taken anew.
local function revive(book, held_key, due_key, lost_key, id, packed, due)
  local reservation = cmsgpack.unpack(packed)
  book:read(reservation[7])
  for place, name in ipairs(reservation[7]) do
    local scope = book.scopes[name]
    scope[7] = scope[7] + 1
    add(scope, reservation, 1, -reservation[4])
    add(scope, reservation, 2, -reservation[5])
    add(scope, reservation, 3, reservation[4])
    add(scope, reservation, 4, reservation[5])
    -- What its minute was charged came back and is not charged again; what it uses is, when it is settled.
    reservation[6][place] = math.min(0, reservation[6][place])
  end
  redis.call('HDEL', lost_key, id)
  redis.call('HSET', held_key, id, cmsgpack.pack(reservation))
  redis.call('ZADD', due_key, due, id)
  return reservation
end
