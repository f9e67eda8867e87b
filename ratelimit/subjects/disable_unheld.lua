-- KEYS: 1 customers or keys (hash), 2 holders of files (hash: holder -> "<until_ms> <digest of its file>")
-- ARGV: 1 offset_us added to the clock, 2 what the members of a file begin with,
--       3... id, record as it was read (JSON), record to be (JSON), the record as files name it, again and again
-- Result: how many were changed. One that the file of a running gateway names stays, and one that has been written since.
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2] + ARGV[1]) / 1000)
local files = {}
for _, held in ipairs(redis.call('HVALS', KEYS[2])) do
  local until_ms, digest = string.match(held, '^(%d+) (.+)$')
  if tonumber(until_ms) > now_ms then
    files[ARGV[2] .. digest] = true
  end
end
local changed = 0
for index = 3, #ARGV, 4 do
  local named = false
  for file in pairs(files) do
    named = named or redis.call('SISMEMBER', file, ARGV[index + 3]) == 1
  end
  if not named and redis.call('HGET', KEYS[1], ARGV[index]) == ARGV[index + 1] then
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 2])
    changed = changed + 1
  end
end
return changed
