-- KEYS: 1 holders of files (hash: holder -> "<until_ms> <digest of its file>"), 2 members of this file (set)
-- ARGV: 1 holder, 2 digest of its file, 3 for how long it holds it (ms), 4 offset_us added to the clock
-- Result: digests of all files that are held, this one among them; none when the members of this one are not known
--         (nothing was changed).
if redis.call('EXISTS', KEYS[2]) == 0 then
  return {}
end
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2] + ARGV[4]) / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now_ms + ARGV[3], ARGV[2]))
-- Twice as long: what is said again in time never expires first.
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[3])
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[3])
local digests = {}
local holders = redis.call('HGETALL', KEYS[1])
for index = 1, #holders, 2 do
  local until_ms, digest = string.match(holders[index + 1], '^(%d+) (.+)$')
  if tonumber(until_ms) > now_ms then
    digests[#digests + 1] = digest
  else
    redis.call('HDEL', KEYS[1], holders[index])
  end
end
return digests
