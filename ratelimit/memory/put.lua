-- Keep a blob for a while; beyond a number of them the one that expires first goes.
-- KEYS: 1 blob (string), 2 index (sorted set: digest -> when it expires, ms)
-- ARGV: 1 digest, 2 blob, 3 how long it is kept (ms), 4 how many are kept, 5 offset_us added to the clock,
--       6 what the keys of blobs begin with
-- Result: how many are kept now.
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2] + tonumber(ARGV[5])) / 1000)
local ttl_ms, most = tonumber(ARGV[3]), tonumber(ARGV[4])
-- A number of keys removed by one call, so that no call takes long; the next takes the rest.
local AT_ONCE = 100

redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl_ms)
redis.call('ZADD', KEYS[2], now_ms + ttl_ms, ARGV[1])
if redis.call('PTTL', KEYS[2]) < ttl_ms then
  redis.call('PEXPIRE', KEYS[2], ttl_ms)
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms, 'LIMIT', 0, AT_ONCE)
if #gone > 0 then
  redis.call('ZREM', KEYS[2], unpack(gone))
end
local over = redis.call('ZCARD', KEYS[2]) - most
if over > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[2], math.min(over, AT_ONCE))
  for place = 1, #popped, 2 do
    redis.call('UNLINK', ARGV[6] .. popped[place])
  end
end
return redis.call('ZCARD', KEYS[2])
