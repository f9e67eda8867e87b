-- KEYS: 1 keys (hash), 2 key ids (sorted set), 3 digests (hash), 4 customer keys (sorted set), 5 file keys (set)
-- ARGV: 1 what former secrets begin with, 2 what previous secrets begin with,
--       3... id, record (JSON), digest (hex), customer id, again and again
-- Result: how many were written. What the file says replaces what was there, its texts and customer included.
for index = 3, #ARGV, 4 do
  local id, digest, customer = ARGV[index], ARGV[index + 2], ARGV[index + 3]
  local old = redis.call('HGET', KEYS[1], id)
  if old then
    old = cjson.decode(old)
    if old.digest ~= digest and redis.call('HGET', KEYS[3], old.digest) == id then
      redis.call('HDEL', KEYS[3], old.digest)
    end
    local earlier = redis.call('GET', ARGV[2] .. id)
    if earlier then
      redis.call('DEL', ARGV[1] .. earlier, ARGV[2] .. id)
    end
    redis.call('ZREM', KEYS[4], old.customer .. ' ' .. id)
  end
  redis.call('HSET', KEYS[1], id, ARGV[index + 1])
  redis.call('ZADD', KEYS[2], 0, id)
  redis.call('HSET', KEYS[3], digest, id)
  redis.call('ZADD', KEYS[4], 0, customer .. ' ' .. id)
  redis.call('SADD', KEYS[5], id)
end
return (#ARGV - 2) / 4
