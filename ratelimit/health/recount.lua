-- Sum one backend's past 167 hours anew: for the first snapshot, and when none was taken for an hour.
-- KEYS: 1 backend (hash)
-- ARGV: 1 offset_us added to the clock
-- Result: 1, or 0 when there is nothing to count.
local HOUR_MS = 3600000
local HOURS = 168

local time = redis.call('TIME')
local hour = math.floor((time[1] * 1000000 + time[2] + ARGV[1]) / 1000 / HOUR_MS)
local stored = redis.call('HGETALL', KEYS[1])
if #stored == 0 then
  return 0
end
local week = {}
for i = 1, #stored, 2 do
  local other = tonumber(stored[i])
  if other and other > hour - HOURS and other < hour then
    for index, count in pairs(cmsgpack.unpack(stored[i + 1])) do
      week[index] = (week[index] or 0) + count
    end
  end
end
redis.call('HSET', KEYS[1], 'week', cmsgpack.pack(week), 'week_of', hour)
return 1
