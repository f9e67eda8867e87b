-- All figures and circuits at one moment. Moves each backend's running week to the present hour.
-- KEYS: 1 circuits (hash), 2... backends (hashes)
-- ARGV: 1 offset_us added to the clock
-- Result: array of 1 now_ms, 2 circuits (array of name, JSON), 3 present slot (ten seconds), then per backend
--         nil, or an array of week, this hour, the hour before, recent (packed or nil), stale (1: to be recounted).
-- The running week is the sum of the 167 hours before `week_of`, the present hour; with that one it makes 168.
local HOUR_MS = 3600000
local HOURS = 168
local SLOT_MS = 10000
local FORGET_MS = HOUR_MS

local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2] + ARGV[1]) / 1000)
local hour = math.floor(now / HOUR_MS)

local function add(tally, packed, factor)
  for index, count in pairs(packed and cmsgpack.unpack(packed) or {}) do
    local sum = (tally[index] or 0) + factor * count
    tally[index] = sum > 0 and sum or nil
  end
end

local function rolled(key, week, last_hour)
  local tally = {}
  add(tally, week, 1)
  add(tally, last_hour, 1)
  add(tally, redis.call('HGET', key, hour - HOURS), -1)
  local packed = cmsgpack.pack(tally)
  redis.call('HSET', key, 'week', packed, 'week_of', hour)
  return packed
end

local circuits = {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  if cjson.decode(stored[i + 1]).open_until + FORGET_MS < now then
    redis.call('HDEL', KEYS[1], stored[i])
  else
    circuits[#circuits + 1] = stored[i]
    circuits[#circuits + 1] = stored[i + 1]
  end
end

local reply = {now, circuits, math.floor(now / SLOT_MS)}
for number = 2, #KEYS do
  local key = KEYS[number]
  local found = redis.call('HMGET', key, 'week', hour, hour - 1, 'recent', 'week_of')
  local week_of = tonumber(found[5])
  local figures = {found[1], found[2], found[3], found[4], 0}
  if week_of == hour - 1 then
    figures[1] = rolled(key, found[1], found[3])
  elseif week_of ~= hour then
    figures[5] = 1
  end
  -- No `week_of` and nothing else either: never heard of.
  reply[number + 2] = (week_of or redis.call('EXISTS', key) == 1) and figures
end
return reply
