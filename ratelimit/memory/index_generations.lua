-- Note generations in the index, and take those out that are too old or too many.
-- KEYS: 1 index (sorted set: id -> when it was noted, ms), 2 owners (hash: id -> customer id)
-- ARGV: 1 offset_us added to the clock, 2 how long generations are kept (ms), 3 how many are kept, 4 how many leave
--       at most, 5... id and customer id of each, again and again
-- Result: array of id and customer id of each that has left, again and again; the oldest first.
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2] + tonumber(ARGV[1])) / 1000)
local kept_ms, most, at_once = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for place = 5, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], now_ms, ARGV[place])
  redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1])
end
redis.call('PEXPIRE', KEYS[1], kept_ms)
redis.call('PEXPIRE', KEYS[2], kept_ms)
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms - kept_ms, 'LIMIT', 0, at_once)
local over = math.min(redis.call('ZCARD', KEYS[1]) - most, at_once)
if over > #gone then
  gone = redis.call('ZRANGE', KEYS[1], 0, over - 1)
end
local left = {}
for _, id in ipairs(gone) do
  left[#left + 1] = id
  left[#left + 1] = redis.call('HGET', KEYS[2], id) or ''
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
return left
